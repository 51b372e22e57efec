#!/usr/bin/env python3
"""PyTorch's side of bench/cpu/compare.sh where torch_peer.py has none: generating with a cache, processes that start, memory.

    torch_cpu.py [--precision bf16] [--threads 2] start train-llama-small-8x128 30      # a line "begin", then "step N" after each step
    torch_cpu.py [--precision bf16] [--threads 2] start generate-llama-small-16x100 1   # a line "token" after the first
    torch_cpu.py [--precision bf16] [--threads 2] memory shakespeare-cpu                # or an attention case
"""
import argparse, re

import torch
import torch.nn.functional as F

import torch_peer as peer


def read(model, ids, at, caches):
    """Logits behind the last of some ids that follow `at` ids in the caches."""
    n = ids.shape[1]
    x = model.tok(ids)
    if model.pos is not None:
        x = x + model.pos.weight[at:at + n]
    cos, sin = model.cos[at:at + n].to(x.dtype), model.sin[at:at + n].to(x.dtype)
    for blk, (keys, values) in zip(model.blocks, caches):
        b, t, d = x.shape
        q, k, v = blk.qkv(blk.n1(x)).split((d, blk.hk * blk.hd, blk.hk * blk.hd), 2)
        q, k, v = (y.view(b, t, -1, blk.hd).transpose(1, 2) for y in (q, k, v))
        if blk.kind == "llama":
            q, k = peer.rope_ref(q, cos, sin), peer.rope_ref(k, cos, sin)
        keys[:, :, at:at + n], values[:, :, at:at + n] = k, v
        y = F.scaled_dot_product_attention(q, keys[:, :, :at + n], values[:, :, :at + n], is_causal=n > 1, enable_gqa=blk.h != blk.hk)
        x = x + blk.o(y.transpose(1, 2).reshape(b, t, d))
        u = blk.up(blk.n2(x))
        if blk.kind == "gpt2":
            x = x + blk.down(F.gelu(u, approximate="tanh"))
        else:
            gate, up = u.chunk(2, -1)
            x = x + blk.down(F.silu(gate) * up)
    return model.head(model.norm(x[:, -1]))


def greedy(case, dt):
    """MODEL-PROMPTxNEW: reads a prompt, then makes so many tokens, each the likeliest."""
    name, prompt, new = re.fullmatch(r"(.+)-(\d+)x(\d+)", case).groups()
    prompt, new = int(prompt), int(new)
    torch.manual_seed(0)
    model = peer.Lm(name, prompt + new).to(dt).eval()
    blk = model.blocks[0]
    caches = [tuple(torch.zeros(1, blk.hk, prompt + new, blk.hd, dtype=dt) for _ in range(2)) for _ in model.blocks]
    ids = torch.randint(0, model.vocab, (1, prompt))

    @torch.inference_mode()
    def run(count=new):
        x, at = ids, 0
        for _ in range(count):
            logits = read(model, x, at, caches)
            at += x.shape[1]
            x = logits.argmax(-1, keepdim=True)
        return x
    return run


def start(case, count, dt):
    """What somebody sees who starts the program: once the model is there `begin`, then `count` lines, one after each step."""
    if case.startswith("generate-"):
        greedy(case.removeprefix("generate-"), dt)(1)
        print("token", flush=True)
        return
    step = peer.served_train(case.removeprefix("train-"), dt=dt)
    print("begin", flush=True)
    for i in range(count):
        float(step().item())
        print("step", i + 1, flush=True)


def memory(case, dt):
    """Megabytes of resident memory: twenty steps on top of a built model, or an attention pass, tensors and all."""
    if re.fullmatch(r"b\d+h\d+k\d+t\d+d\d+(-backward)?", case):
        torch.set_default_dtype(dt)
        torch.mm(torch.randn(64, 64), torch.randn(64, 64))  # libraries
        before = peer.high_water()
        run = peer.served_attn(case, "eager")
        for _ in range(3):
            run()
    else:
        step = peer.served_train(case, dt=dt)
        before = peer.high_water()
        for _ in range(20):
            step()
    peer.emit(bench="memory", case=case, mb=peer.high_water() - before)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--precision", default="fp32", choices=peer.DTYPES)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("what", choices=["start", "memory"])
    ap.add_argument("case")
    ap.add_argument("count", type=int, nargs="?", default=1)
    args = ap.parse_args()
    torch.set_num_threads(args.threads)
    dt = peer.DTYPES[args.precision]
    start(args.case, args.count, dt) if args.what == "start" else memory(args.case, dt)


if __name__ == "__main__":
    main()
