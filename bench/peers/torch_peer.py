#!/usr/bin/env python3
"""PyTorch baselines for the same work the engine does, to be run on the same machine in the same run.

    python3 torch_peer.py matmul  --device cuda --dtype bf16            # cuBLAS, square and training shapes
    python3 torch_peer.py attn  --device cuda --dtype bf16            # SDPA: flash and cuDNN back ends, forward and forward+backward
    python3 torch_peer.py ops   --device cuda --dtype bf16            # memory-bound kernels, eager and compiled
    python3 torch_peer.py train --device cuda --model gpt2-124m --batch 32 --seq 1024 --compile
    python3 torch_peer.py train --device cpu  --model shakespeare-cpu --dtype fp32 --batch 12 --seq 64
    python3 torch_peer.py serve --device cpu  --dtype fp32 --threads 2   # answers requests "BENCH CASE MILLIS": bench/cpu/compare.sh
    python3 torch_peer.py serve --device cuda                          # requests "BENCH CASE MILLIS DTYPE VARIANT": bench/gpu/run.sh
    python3 torch_peer.py memory --device cpu --dtype fp32 --threads 2 --model shakespeare-cpu

Every line printed on standard output is one JSON object: {"bench":…, "case":…, "ms":…, …}. Times are medians of
event-timed (GPU) or wall-clock (CPU) repetitions after a warm-up, on random data. FLOPs count 2 per multiply-add;
training FLOPs per token are 6·N + 12·layers·dim·seq (N: parameters without the position table), as in PaLM's appendix B.
"""
import argparse, contextlib, json, math, re, statistics, sys, time

import torch
import torch.nn as nn
import torch.nn.functional as F

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

# name: (kind, layers, heads, kv heads, dim, ffn hidden, vocab)
MODELS = {
    "llama-small": ("llama", 4, 4, 4, 192, 512, 1024),
    "shakespeare-cpu": ("gpt2", 4, 4, 4, 128, 512, 65),
    "shakespeare": ("gpt2", 6, 6, 6, 384, 1536, 65),
    "llama-shakespeare-cpu": ("llama", 4, 4, 4, 128, 352, 65),
    "llama-shakespeare": ("llama", 6, 6, 6, 384, 1024, 65),
    "gpt2-124m": ("gpt2", 12, 12, 12, 768, 3072, 50304),
    "llama-124m": ("llama", 12, 12, 12, 768, 2048, 50304),
    "llama-350m": ("llama", 24, 16, 16, 1024, 2816, 32000),
    "llama-1b": ("llama", 22, 32, 4, 2048, 5632, 32000),
}

MATMUL_SHAPES = [  # M, N, K, and which of A and B are stored transposed (forward NT, dgrad NN, wgrad TN)
    (1024, 1024, 1024, "nn"), (2048, 2048, 2048, "nn"), (4096, 4096, 4096, "nn"), (8192, 8192, 8192, "nn"),
    (16384, 16384, 16384, "nn"),
    (32768, 2304, 768, "nt"), (32768, 3072, 768, "nt"), (32768, 768, 3072, "nt"), (32768, 50304, 768, "nt"),
    (32768, 768, 2304, "nn"), (768, 2304, 32768, "tn"), (3072, 768, 32768, "tn"),
    (16384, 11264, 2048, "nt"), (16384, 2048, 5632, "nt"), (2048, 11264, 16384, "tn"),
]
ATTN_SHAPES = [  # batch, heads, kv heads, seq, head dim
    (32, 12, 12, 1024, 64), (16, 32, 4, 2048, 64), (8, 16, 16, 4096, 128), (2, 16, 16, 16384, 128), (4, 32, 8, 4096, 128),
]


def emit(**row):
    print(json.dumps({k: (round(v, 6) if isinstance(v, float) else v) for k, v in row.items()}), flush=True)


def timed(fn, device, reps=20, warmup=5):
    """Median milliseconds of fn()."""
    for _ in range(warmup):
        fn()
    times = []
    if device == "cuda":
        torch.cuda.synchronize()
        for _ in range(reps):
            a, b = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            a.record(); fn(); b.record(); b.synchronize()
            times.append(a.elapsed_time(b))
    else:
        for _ in range(reps):
            t = time.perf_counter(); fn(); times.append((time.perf_counter() - t) * 1e3)
    return statistics.median(times)


def matmul(args, dev, dt):
    shapes = MATMUL_SHAPES if dev == "cuda" else [(512, 512, 512, "nn"), (1024, 1024, 1024, "nn"), (2048, 1536, 384, "nt"), (2048, 3072, 768, "nt"), (384, 1536, 2048, "tn")]
    for m, n, k, lay in shapes:
        a = torch.randn((m, k) if lay[0] == "n" else (k, m), device=dev, dtype=dt)
        b = torch.randn((k, n) if lay[1] == "n" else (n, k), device=dev, dtype=dt)
        x, y = (a if lay[0] == "n" else a.t()), (b if lay[1] == "n" else b.t())
        ms = timed(lambda: torch.matmul(x, y), dev)
        emit(bench="matmul", case=f"{m}x{n}x{k}-{lay}", dtype=args.dtype, ms=ms, tflops=2 * m * n * k / ms / 1e9)


def attn(args, dev, dt):
    from torch.nn.attention import SDPBackend, sdpa_kernel
    backends = {"flash": SDPBackend.FLASH_ATTENTION, "cudnn": SDPBackend.CUDNN_ATTENTION} if dev == "cuda" else {"cpu": None}
    shapes = ATTN_SHAPES if dev == "cuda" else [(12, 4, 4, 64, 32), (16, 6, 6, 256, 64)]
    for b, h, hk, t, d in shapes:
        for name, be in backends.items():
            q = torch.randn(b, h, t, d, device=dev, dtype=dt, requires_grad=True)
            k, v = (torch.randn(b, hk, t, d, device=dev, dtype=dt, requires_grad=True) for _ in range(2))
            g = torch.randn(b, h, t, d, device=dev, dtype=dt)
            with (sdpa_kernel(be) if be else contextlib.nullcontext()):
                try:
                    fwd = timed(lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=h != hk), dev)
                    o = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=h != hk)
                    bwd = timed(lambda: torch.autograd.grad(o, (q, k, v), g, retain_graph=True), dev)
                except RuntimeError as e:
                    emit(bench="attn", case=f"b{b}h{h}k{hk}t{t}d{d}-{name}", error=str(e)[:120]); continue
            flops = 4 * b * h * t * t * d / 2  # causal
            emit(bench="attn", case=f"b{b}h{h}k{hk}t{t}d{d}-{name}", dtype=args.dtype, fwd_ms=fwd, bwd_ms=bwd,
                 fwd_tflops=flops / fwd / 1e9, bwd_tflops=2.5 * flops / bwd / 1e9)


def rope_ref(x, cos, sin):
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat((-b, a), -1) * sin


def ops(args, dev, dt):
    rows, dim, hid, vocab = (32768, 2048, 5632, 32000) if dev == "cuda" else (2048, 384, 1024, 4096)
    x, w = torch.randn(rows, dim, device=dev, dtype=dt), torch.ones(dim, device=dev, dtype=dt)
    r, g, u = torch.randn_like(x), torch.randn(rows, hid, device=dev, dtype=dt), torch.randn(rows, hid, device=dev, dtype=dt)
    heads = torch.randn(rows // 1024 or 1, dim // 64, min(rows, 1024), 64, device=dev, dtype=dt)
    ang = torch.randn(heads.shape[2], 64, device=dev)
    cos, sin = ang.cos().to(dt), ang.sin().to(dt)
    lrows = rows // 4
    logits, tgt = torch.randn(lrows, vocab, device=dev, dtype=dt), torch.randint(0, vocab, (lrows,), device=dev)
    el = x.element_size()
    cases = {
        "copy": (lambda: x.clone(), 2 * x.numel() * el),
        "rmsnorm": (lambda: F.rms_norm(x, (dim,), w, 1e-5), 2 * x.numel() * el),
        "residual+rmsnorm": (lambda: F.rms_norm(x + r, (dim,), w, 1e-5), 4 * x.numel() * el),
        "swiglu": (lambda: F.silu(g) * u, 3 * g.numel() * el),
        "rope": (lambda: rope_ref(heads, cos, sin), 2 * heads.numel() * el),
        "cross-entropy": (lambda: F.cross_entropy(logits.float(), tgt), logits.numel() * el),
    }
    for name, (fn, nbytes) in cases.items():
        for mode in (["eager", "compile"] if dev == "cuda" or args.compile else ["eager"]):
            f = torch.compile(fn) if mode == "compile" else fn
            ms = timed(f, dev)
            emit(bench="ops", case=name, mode=mode, dtype=args.dtype, ms=ms, gbps=nbytes / ms / 1e6)
    ps = [torch.randn(1 << 24, device=dev) for _ in range(8 if dev == "cuda" else 1)]
    for p in ps:
        p.grad = torch.randn_like(p)
    opt = torch.optim.AdamW(ps, lr=1e-4, fused=True)
    ms = timed(opt.step, dev)
    emit(bench="ops", case="adamw-fp32", mode="fused", dtype="fp32", ms=ms, gbps=7 * 4 * sum(p.numel() for p in ps) / ms / 1e6)


class Block(nn.Module):
    def __init__(self, kind, h, hk, d, ff):
        super().__init__()
        self.kind, self.h, self.hk, self.hd = kind, h, hk, d // h
        norm = (lambda: nn.LayerNorm(d)) if kind == "gpt2" else (lambda: nn.RMSNorm(d, 1e-5))
        bias = kind == "gpt2"
        self.n1, self.n2 = norm(), norm()
        self.qkv, self.o = nn.Linear(d, d + 2 * hk * self.hd, bias=bias), nn.Linear(d, d, bias=bias)
        self.up = nn.Linear(d, ff if bias else 2 * ff, bias=bias)
        self.down = nn.Linear(ff, d, bias=bias)

    def forward(self, x, cos, sin):
        b, t, d = x.shape
        q, k, v = self.qkv(self.n1(x)).split((d, self.hk * self.hd, self.hk * self.hd), 2)
        q, k, v = (y.view(b, t, -1, self.hd).transpose(1, 2) for y in (q, k, v))
        if self.kind == "llama":
            q, k = rope_ref(q, cos, sin), rope_ref(k, cos, sin)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=self.h != self.hk)
        x = x + self.o(y.transpose(1, 2).reshape(b, t, d))
        u = self.up(self.n2(x))
        if self.kind == "gpt2":
            return x + self.down(F.gelu(u, approximate="tanh"))
        a, c = u.chunk(2, -1)
        return x + self.down(F.silu(a) * c)


class Lm(nn.Module):
    def __init__(self, name, seq):
        super().__init__()
        kind, layers, h, hk, d, ff, vocab = MODELS[name]
        self.kind, self.vocab = kind, vocab
        self.tok = nn.Embedding(vocab, d)
        self.pos = nn.Embedding(seq, d) if kind == "gpt2" else None
        self.blocks = nn.ModuleList(Block(kind, h, hk, d, ff) for _ in range(layers))
        self.norm = nn.LayerNorm(d) if kind == "gpt2" else nn.RMSNorm(d, 1e-5)
        self.head = nn.Linear(d, vocab, bias=False)
        self.head.weight = self.tok.weight
        inv = 1.0 / 10000 ** (torch.arange(0, d // h, 2) / (d // h))
        ang = torch.arange(seq)[:, None] * torch.cat((inv, inv))[None]
        self.register_buffer("cos", ang.cos()); self.register_buffer("sin", ang.sin())
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.normal_(p, std=0.02)
        n = sum(p.numel() for p in self.parameters()) - (self.pos.weight.numel() if self.pos is not None else 0)
        self.flops_per_token = 6 * n + 12 * layers * d * seq
        self.n = n

    def forward(self, ids, tgt):
        x = self.tok(ids)
        if self.pos is not None:
            x = x + self.pos.weight[: ids.shape[1]]
        cos, sin = self.cos.to(x.dtype), self.sin.to(x.dtype)
        if torch.is_autocast_enabled(x.device.type):
            at = torch.get_autocast_dtype(x.device.type)
            cos, sin = cos.to(at), sin.to(at)
        for blk in self.blocks:
            x = blk(x, cos, sin)
        return F.cross_entropy(self.head(self.norm(x)).view(-1, self.vocab).float(), tgt.reshape(-1))


def train_step(name, batch, seq, dev, dt, compiled):
    """A function that does one step, and the model."""
    torch.manual_seed(0)
    model = Lm(name, seq).to(dev)
    opt = torch.optim.AdamW(model.parameters(), lr=3e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    ids = torch.randint(0, model.vocab, (batch, seq + 1), device=dev)
    run = torch.compile(model) if compiled else model

    def step():
        ctx = contextlib.nullcontext() if dt == torch.float32 else torch.autocast(dev, dtype=dt)
        with ctx:
            loss = run(ids[:, :-1], ids[:, 1:])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step(); opt.zero_grad(set_to_none=True)
        return loss

    return step, model


def train(args, dev, dt):
    step, model = train_step(args.model, args.batch, args.seq, dev, dt, args.compile)
    if dev == "cuda":
        torch.cuda.reset_peak_memory_stats()
    ms = timed(step, dev, reps=args.reps, warmup=max(3, args.reps // 4))
    tokens = args.batch * args.seq
    row = dict(bench="train", case=args.model, dtype=args.dtype, batch=args.batch, seq=args.seq, compile=args.compile, params=model.n,
               ms=ms, tokens_per_s=tokens / ms * 1e3, tflops=model.flops_per_token * tokens / ms / 1e9, loss=float(step().item()))
    if dev == "cuda":
        row["peak_mib"] = torch.cuda.max_memory_allocated() / 2**20
    emit(**row)


def served_matmul(case):
    """MxNxK-layout: nn is A B, nt is A Bt (forward of a linear layer), tn is C += At B (its weight's gradient)."""
    size, lay = case.split("-")
    m, n, k = map(int, size.split("x"))
    a = torch.randn((k, m) if lay[0] == "t" else (m, k))
    b = torch.randn((n, k) if lay[1] == "t" else (k, n))
    x, y = (a.t() if lay[0] == "t" else a), (b.t() if lay[1] == "t" else b)
    c = torch.zeros(m, n)
    if lay[0] == "t":
        return lambda: torch.addmm(c, x, y, out=c)
    return lambda: torch.mm(x, y, out=c)


def backward_of(f, inputs):
    """The backward pass alone, of outputs that are computed once."""
    out = f()
    out = out if isinstance(out, tuple) else (out,)
    g = tuple(torch.randn_like(y) for y in out)
    return lambda: torch.autograd.grad(out, inputs, g, retain_graph=True)


def normed(name, wrap, rows, cols):
    """rmsnorm, layernorm; add-: of a sum, which is an output too; -backward: gradients of all inputs."""
    layer, add, back = "layernorm" in name, name.startswith("add-"), name.endswith("-backward")
    x, h = (torch.randn(rows, cols, requires_grad=back) for _ in range(2))
    w, b = (torch.ones(cols, requires_grad=back), torch.zeros(cols, requires_grad=back))

    def forward():
        s = x + h if add else x
        y = F.layer_norm(s, (cols,), w, b, 1e-5) if layer else F.rms_norm(s, (cols,), w, 1e-5)
        return (s, y) if add else y
    return backward_of(wrap(forward), [x] + ([h] if add else []) + [w] + ([b] if layer else [])) if back else wrap(forward)


def served_op(case, wrap=lambda f: f):
    """NAME-DIMS. `wrap` is what compiles; of a backward pass, the forward pass that it belongs to."""
    name, size = case.rsplit("-", 1)
    dims = [int(d) for d in size.split("x")]
    if "norm" in name and name != "global-norm":
        return normed(name, wrap, *dims)
    if name == "copy":
        x = torch.randn(dims)
        return wrap(lambda: x.clone())
    if name in ("swiglu", "swiglu-backward"):
        p = torch.randn(dims[0], 2 * dims[1], requires_grad=name.endswith("backward"))

        def swiglu():
            g, u = p.chunk(2, -1)
            return F.silu(g) * u
        return backward_of(wrap(swiglu), (p,)) if p.requires_grad else wrap(swiglu)
    if name == "softmax":
        x = torch.randn(dims)
        return wrap(lambda: F.softmax(x, -1))
    if name in ("cross-entropy", "cross-entropy-backward"):
        x, t = torch.randn(dims, requires_grad=name.endswith("backward")), torch.randint(0, dims[1], (dims[0],))
        loss = wrap(lambda: F.cross_entropy(x, t))
        return backward_of(loss, (x,)) if x.requires_grad else loss
    if name == "linear-cross-entropy":
        rows, cols, vocab = dims
        x, w = torch.randn(rows, cols, requires_grad=True), torch.randn(vocab, cols, requires_grad=True)
        t = torch.randint(0, vocab, (rows,))
        loss = wrap(lambda: F.cross_entropy((x @ w.t()).float(), t))
        return lambda: torch.autograd.grad(loss(), (x, w))
    if name == "rope":
        b, t, h, d = dims
        x, ang = torch.randn(b, t, h, d).transpose(1, 2), torch.randn(t, d)
        cos, sin = ang.cos(), ang.sin()
        return wrap(lambda: rope_ref(x, cos, sin))
    if name in ("gelu", "gelu-backward"):
        x = torch.randn(dims, requires_grad=name.endswith("backward"))
        gelu = wrap(lambda: F.gelu(x, approximate="tanh"))
        return backward_of(gelu, (x,)) if x.requires_grad else gelu
    if name == "dropout":
        x = torch.randn(dims)
        return wrap(lambda: F.dropout(x, 0.1))
    if name == "bias-gradient":
        dy = torch.randn(dims)
        return wrap(lambda: dy.sum(0))
    if name in ("embedding", "embedding-backward"):
        n, cols, vocab = dims
        table, ids = torch.randn(vocab, cols, requires_grad=name.endswith("backward")), torch.randint(0, vocab, (n,))
        rows = wrap(lambda: F.embedding(ids, table))
        return backward_of(rows, (table,)) if table.requires_grad else rows
    if name == "exp":
        x, y = torch.randn(dims), torch.empty(dims)
        return lambda: torch.exp(x, out=y)
    if name == "global-norm":
        g = torch.randn(dims[0])
        return wrap(lambda: torch.nn.utils.get_total_norm([g]))
    if name == "adamw":
        p = torch.randn(dims[0], dtype=torch.float32)
        p.grad = torch.randn(dims[0], dtype=torch.float32)
        update, half = torch.optim.AdamW([p], lr=3e-4, fused=True).step, torch.empty(dims[0])  # in bf16 a step writes the copy that products read
        return update if half.dtype == p.dtype else lambda: (update(), half.copy_(p))
    if name not in ("attention", "attention-backward"):
        raise RuntimeError(f"no {name} here")
    b, t, h, d = dims
    return causal(b, h, h, t, d, name.endswith("backward"))


def causal(b, h, hk, t, d, backward):
    """Attention on heads that lie side by side, as a model has them."""
    q = torch.randn(b, t, h, d).transpose(1, 2)
    k, v = (torch.randn(b, t, hk, d).transpose(1, 2) for _ in range(2))
    forward = lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=h != hk)
    if not backward:
        return forward
    for x in (q, k, v):
        x.requires_grad_()
    return backward_of(forward, (q, k, v))


def served_attn(case, variant):
    """b32h12k12t1024d64[-backward], by one of SDPA's back ends: flash or cudnn; eager: the one it takes by itself."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    b, h, hk, t, d = (int(n) for n in re.findall(r"\d+", case))
    if variant == "eager":
        return causal(b, h, hk, t, d, case.endswith("-backward"))
    back_end = {"flash": SDPBackend.FLASH_ATTENTION, "cudnn": SDPBackend.CUDNN_ATTENTION}[variant]
    with sdpa_kernel(back_end):
        run = causal(b, h, hk, t, d, case.endswith("-backward"))

    def forced():
        with sdpa_kernel(back_end):
            return run()
    return forced


def served_launch(case):
    """MODE-COUNT: so many small kernels, one after the other (eager) or as one graph."""
    mode, count = case.split("-")
    y = torch.empty(256)

    def launches():
        for _ in range(int(count)):
            y.fill_(0)
    if mode == "eager":
        return launches
    launches()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        launches()
    return graph.replay


def served_copy(case):
    """FROM2TO-BYTES, h for pinned host memory and d for the GPU's."""
    way, size = case.split("-")
    a, b = (torch.randint(0, 255, (int(size),), dtype=torch.uint8, device="cuda" if w == "d" else "cpu") for w in (way[0], way[2]))
    a, b = (t if t.is_cuda else t.pin_memory() for t in (a, b))
    return lambda: b.copy_(a, non_blocking=True)


def served_train(case, dev="cpu", dt=torch.float32, compiled=False):
    """MODEL[-BATCHxLENGTH]"""
    size = re.fullmatch(r"(.+)-(\d+)x(\d+)", case)
    if size:
        return train_step(size[1], int(size[2]), int(size[3]), dev, dt, compiled)[0]
    small = case.endswith("-cpu")
    return train_step(case, 12 if small else 16, 64 if small else 256, dev, dt, compiled)[0]


def high_water():
    """VmHWM in megabytes."""
    return next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("VmHWM:")) / 1024


def memory(args, dev, dt):
    """What twenty steps of a model take on top of the model."""
    step = served_train(args.model)
    built = high_water()
    for _ in range(20):
        step()
    emit(bench="memory", case=args.model, mb=high_water() - built)


def serve(args, dev, dt):
    """Reads requests "BENCH CASE MILLIS [DTYPE [VARIANT]]" and answers each with the median of as many runs as fit; the first runs of a case are not counted.

    The variants of a case are kept until the next case comes."""
    make = {"matmul": served_matmul, "launch": served_launch, "copy": served_copy}
    current, made = None, {}
    torch.set_default_device(dev)
    torch.set_float32_matmul_precision("highest")

    def build(bench, case, type, variant):
        if bench == "attn":
            return served_attn(case, variant)
        if bench == "train":  # weights stay fp32: autocast makes the halves
            torch.set_default_dtype(torch.float32)
            return served_train(case, dev, type, variant == "compile")
        if bench == "op":
            return served_op(case, torch.compile if variant == "compile" else lambda f: f)
        if bench == "generate":
            from torch_cpu import greedy
            torch.set_default_dtype(torch.float32)
            return greedy(case, type)
        return make[bench](case)

    def on_gpu(fn, ms):
        """Milliseconds by events around batches of a millisecond or more."""
        def batch(n):
            a, b = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            a.record()
            for _ in range(n):
                fn()
            b.record(); b.synchronize()
            return a.elapsed_time(b) / n
        batch(3)
        n = max(1, min(100, math.ceil(1 / max(1e-3, batch(1)))))
        times, begin = [], time.perf_counter()
        while len(times) < 2 or (len(times) < 2000 and time.perf_counter() - begin < ms * 1e-3):
            times.append(batch(n))
        return times

    def on_cpu(fn, ms):
        times, begin = [], time.perf_counter()
        while len(times) < 2 or (len(times) < 2000 and time.perf_counter() - begin < ms * 1e-3):
            t = time.perf_counter(); fn(); times.append((time.perf_counter() - t) * 1e3)
        return times

    measure = on_gpu if dev == "cuda" else on_cpu
    for line in sys.stdin:
        bench, case, ms, *rest = line.split()
        dtype, variant = (rest + [args.dtype, "eager"][len(rest):])[:2]
        try:
            if (bench, case, dtype) != current:
                current, made = (bench, case, dtype), {}
                if dev == "cuda":
                    torch.cuda.empty_cache()
            torch.set_default_dtype(DTYPES[dtype])
            if variant not in made:
                made[variant] = build(bench, case, DTYPES[dtype], variant)
                measure(made[variant], 300)
            if isinstance(made[variant], str):  # what it failed with
                raise RuntimeError(made[variant])
            times = measure(made[variant], float(ms))
        except Exception as e:  # whatever fails (memory, a compiler that is not there), the next case may not
            if dev != "cuda":
                raise
            made[variant] = (str(e).strip() or type(e).__name__).splitlines()[0][:200]
            emit(bench=bench, case=case, error=made[variant])
            continue
        emit(bench=bench, case=case, ms=statistics.median(times), runs=len(times))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("bench", choices=["matmul", "attn", "ops", "train", "serve", "memory"])
    ap.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    ap.add_argument("--dtype", default="bf16", choices=DTYPES)
    ap.add_argument("--model", default="gpt2-124m", choices=MODELS)
    ap.add_argument("--batch", type=int, default=32)
    ap.add_argument("--seq", type=int, default=1024)
    ap.add_argument("--reps", type=int, default=20)
    ap.add_argument("--threads", type=int, default=0)
    ap.add_argument("--compile", action="store_true")
    args = ap.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("high" if args.device == "cuda" else "highest")
    dev_name = torch.cuda.get_device_name() if args.device == "cuda" else f"cpu x{torch.get_num_threads()}"
    emit(bench="env", torch=torch.__version__, device=dev_name)
    {"matmul": matmul, "attn": attn, "ops": ops, "train": train, "serve": serve, "memory": memory}[args.bench](args, args.device, DTYPES[args.dtype])


if __name__ == "__main__":
    main()
