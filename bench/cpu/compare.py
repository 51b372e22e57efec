#!/usr/bin/env python3
"""Times the engine against PyTorch, case by case, in alternating rounds on the same machine; prints a Markdown table.

Two programs answer requests "BENCH CASE MILLIS" with one JSON object per line: dev.javelin.bench.Compare and torch_peer.py serve.
In each round either is asked once while the other waits; a case's time is the median of its rounds' medians.
"""
import argparse, json, math, os, statistics, subprocess, sys, time

WIDTHS = [  # tokens, and (out, in) of the linear layers of the models that wide
    (768, [(384, 128), (128, 128), (512, 128), (128, 512), (704, 128), (128, 352), (65, 128)]),
    (4096, [(1152, 384), (384, 384), (1536, 384), (384, 1536), (2048, 384), (384, 1024), (65, 384)]),
    (2048, [(2304, 768), (768, 768), (3072, 768), (768, 3072)]),
]
MATMUL_BAR, MATMUL_FLOOR = 0.85, 0.6
HEAP = ["-XX:+UseSerialGC", "-XX:NewSize=4m", "-XX:MaxNewSize=16m", "-Xms16m"]  # as the launcher has it


def matmul_cases():
    for n in (512, 1024, 2048):
        yield f"{n}x{n}x{n}-nn"
    for tokens, layers in WIDTHS:
        for out, inner in layers:
            yield f"{tokens}x{out}x{inner}-nt"  # forward
            yield f"{tokens}x{inner}x{out}-nn"  # gradient of the input
            yield f"{out}x{inner}x{tokens}-tn"  # gradient of the weight, accumulated


# bench, case, bar
OPS = [
    ("rmsnorm-768x128", 1.0), ("rmsnorm-4096x384", 1.0), ("rmsnorm-backward-768x128", 1.0), ("rmsnorm-backward-4096x384", 1.0),
    ("swiglu-768x352", 1.0), ("swiglu-4096x1024", 1.0), ("softmax-3072x64", 1.0), ("softmax-24576x256", 1.0),
    ("cross-entropy-768x65", 1.0), ("cross-entropy-4096x65", 1.0), ("rope-12x64x4x32", 1.0), ("rope-16x256x6x64", 1.0),
    ("adamw-800000", 1.0), ("adamw-10000000", 1.0), ("exp-3145728", 0.8), ("gelu-768x512", 0.8), ("gelu-4096x1536", 0.8),
    ("attention-12x64x4x32", None), ("attention-16x256x6x64", None),
    ("attention-backward-12x64x4x32", None), ("attention-backward-16x256x6x64", None),
]
TRAIN = [(name, 1.0) for name in ("shakespeare-cpu", "llama-shakespeare-cpu", "shakespeare", "llama-shakespeare")]


def cases(only):
    all_cases = [("op", c, bar) for c, bar in OPS] + [("train", c, bar) for c, bar in TRAIN] + [("matmul", c, MATMUL_FLOOR) for c in matmul_cases()]
    return [c for c in all_cases if not only or any(o in f"{c[0]} {c[1]}" for o in only)]


class Side:
    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, bench, case, millis):
        self.process.stdin.write(f"{bench} {case} {millis}\n")
        self.process.stdin.flush()
        while line := self.process.stdout.readline():
            answer = json.loads(line)
            if answer["bench"] == bench:
                return answer["ms"]
        sys.exit(f"compare: no answer to {bench} {case} from {self.process.args[0]}")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--classpath", required=True)
    ap.add_argument("--java", default="java")
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--rounds", type=int, default=15)
    ap.add_argument("--millis", type=int, default=60, help="of each side in each round; one step of a model at least")
    ap.add_argument("only", nargs="*", help='cases whose "bench name" contains one of these')
    args = ap.parse_args()
    peer = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "peers", "torch_peer.py")
    ours = Side([args.java, "--add-modules", "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED", *HEAP,
                 "-cp", args.classpath, "dev.javelin.bench.Compare", str(args.threads)])
    theirs = Side([sys.executable, peer, "serve", "--device", "cpu", "--dtype", "fp32", "--threads", str(args.threads)])
    print(f"{time.strftime('%Y-%m-%d')}, {args.threads} threads, {args.rounds} rounds, medians\n")
    print("| case | Javelin ms | PyTorch ms | ratio | bar | load |\n|---|---|---|---|---|---|")
    logs = []
    for bench, case, bar in cases(args.only):
        times = [], []
        for r in range(args.rounds + 1):
            for side, t in ((ours, times[0]), (theirs, times[1])) if r % 2 else ((theirs, times[1]), (ours, times[0])):
                ms = side.ask(bench, case, args.millis)
                if r:  # the first round warms up
                    t.append(ms)
                time.sleep(0.01)  # the other side's threads go to rest
        a, b = statistics.median(times[0]), statistics.median(times[1])
        if bench == "matmul":
            logs.append(math.log(b / a))
        missed = " (missed)" if bar and b / a < bar else ""
        print(f"| {bench} {case} | {a:.3f} | {b:.3f} | {b / a:.2f}{missed} | {bar or ''} | {os.getloadavg()[0]:.1f} |", flush=True)
    if logs:
        print(f"| **matmul, geometric mean** of {len(logs)} | | | **{math.exp(statistics.mean(logs)):.2f}** | {MATMUL_BAR} | {os.getloadavg()[0]:.1f} |")


if __name__ == "__main__":
    main()
