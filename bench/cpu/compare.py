#!/usr/bin/env python3
"""Times the engine against PyTorch, case by case, in alternating rounds on the same machine; prints a Markdown table.

Two programs answer requests "BENCH CASE MILLIS TYPE" with one JSON object per line: dev.javelin.bench.Compare and torch_peer.py serve.
In each round either is asked once while the other waits. Start-up and memory are measured on processes that take turns.
A case's ratio is the median over the rounds of the peer's time over Javelin's.

Results go to DATE-PROCESSOR.json, .md and .svg in --out; report.py makes the last two from the first.
"""
import argparse, json, os, re, shlex, signal, statistics, subprocess, sys, tempfile, time

import cases, llmc, report

HERE = os.path.dirname(os.path.abspath(__file__))
PEERS = os.path.join(HERE, "..", "peers")
HEAP = ["-XX:+UseSerialGC", "-XX:NewSize=4m", "-XX:MaxNewSize=16m", "-Xms16m"]  # as the launcher has it
STEPS = 30  # of a process that starts


class Side:
    """A process that answers requests, started when it is first asked."""

    def __init__(self, command):
        self.command, self.process, self.env = command, None, {}

    def read(self, bench):
        while line := self.process.stdout.readline():
            if line.startswith("{"):
                answer = json.loads(line)
                if answer["bench"] == bench:
                    return answer
        sys.exit(f"compare: no answer to {bench} from {shlex.join(self.command)}")

    def ask(self, bench, case, millis, precision):
        if not self.process:
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdin.write(f"{bench} {case} {millis} {precision}\n")
        self.process.stdin.flush()
        return self.read(bench)["ms"]


class Bench:
    def __init__(self, args):
        self.args = args
        self.java = [args.java, "--add-modules", "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED", *HEAP,
                     "-cp", args.classpath, "dev.javelin.bench.Compare", str(args.threads)]
        self.ours = Side(self.java)
        self.theirs = Side([sys.executable, os.path.join(PEERS, "torch_peer.py"), "serve", "--device", "cpu", "--dtype", args.precision,
                            "--threads", str(args.threads)])
        self.torch_cpu = [sys.executable, os.path.join(PEERS, "torch_cpu.py"), "--threads", str(args.threads), "--precision", args.precision]
        self.llmc = None
        self.run = None

    def turns(self, rounds, ours, theirs, warm=True):
        """Results of both in alternating rounds; the first round warms up."""
        results = [], []
        for r in range(rounds + warm):
            sides = [(ours, results[0]), (theirs, results[1])]
            for ask, to in sides if r % 2 else reversed(sides):
                value = ask()
                if r or not warm:
                    to.append(value)
                time.sleep(0.01)  # the other side's threads go to rest
        return results

    def rows(self, group, name, bar):
        """Of a case: (measure, ours, theirs, bar)."""
        a = self.args
        if group == "memory":
            ours, theirs = self.turns(a.processes, lambda: self.once([*self.java, name, a.precision]), lambda: self.once([*self.torch_cpu, "memory", name]), False)
            yield "MB", ours, theirs, bar
        elif group == "start":
            yield from self.start(name)
        elif group == "llm.c":
            self.llmc = self.llmc or llmc.LlmC(a.llmc, a.threads)
            ours, theirs = self.turns(a.rounds, lambda: self.ours.ask("train", name, 1, "fp32"), lambda: self.llmc.ask(name))
            yield "ms", ours, theirs, bar
        else:
            ours, theirs = self.turns(a.rounds, lambda: self.ours.ask(group, name, a.millis, a.precision),
                                      lambda: self.theirs.ask(group, name, a.millis, a.precision))
            yield "ms", ours, theirs, bar

    @staticmethod
    def once(command):
        out = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        return next(json.loads(line)["mb"] for line in out.splitlines() if '"memory"' in line)

    @staticmethod
    def lines(command, pattern):
        """Seconds from the start of a process to each of its lines that match."""
        begin, seconds = time.monotonic(), []
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            for line in process.stdout:
                if re.match(pattern, line):
                    seconds.append(time.monotonic() - begin)
        if process.returncode or not seconds:
            sys.exit(f"compare: exit code {process.returncode} and {len(seconds)} lines like {pattern!r} from {shlex.join(command)}")
        return seconds

    def start(self, name):
        what, case = name.split("-", 1)
        model, batch, length = re.fullmatch(r"(.+?)(?:-(\d+)x(\d+))?", case).groups()
        launcher = shlex.split(self.args.launcher)
        if not self.run or what == "train":
            self.run = tempfile.TemporaryDirectory(prefix="compare-")
        train = [*launcher, "train", "--model", model, "--seq-len", length or "64", "--batch-size", batch or "12", "--max-steps", str(STEPS),
                 "--logging-steps", "1", "--val-fraction", "0", "--threads", str(self.args.threads),
                 *([] if model == "llama-small" else ["--tokenizer", "char"]), "--output-dir"]
        if what == "train":
            count = iter(range(10**6))
            # What is printed last before the first step, then each step: t[n] is the end of step n.
            ours, theirs = self.turns(self.args.processes, lambda: self.lines([*train, f"{self.run.name}/{next(count)}"], r"[\d,]+ training tokens|step \d+/"),
                                      lambda: self.lines([*self.torch_cpu, "start", name, str(STEPS)], "begin|step"), False)
            yield "first step s", [t[1] for t in ours], [t[1] for t in theirs], None
            steady = lambda t: statistics.median(b - a for a, b in zip(t[-11:], t[-10:]))
            ten = lambda t: (t[10] - t[0]) / 10 / steady(t)
            yield "ten steps / steady", [ten(t) for t in ours], [ten(t) for t in theirs], None
            return
        run = f"{self.run.name}/trained"
        train[train.index("--model") + 1], train[train.index("--seq-len") + 1], train[train.index("--batch-size") + 1] = model, "128", "8"
        self.lines([*train, run], r"step \d+/")
        generate = [*launcher, "generate", "--model", f"{run}/last", "--prompt", "The ", "--max-new-tokens", "1"]
        ours, theirs = self.turns(self.args.processes, lambda: self.lines(generate, ".")[-1:],
                                  lambda: self.lines([*self.torch_cpu, "start", name, "1"], "token"), False)
        yield "first token s", [t[0] for t in ours], [t[0] for t in theirs], None


def environment(args):
    cpu = open("/proc/cpuinfo").read() if os.path.exists("/proc/cpuinfo") else ""
    field = lambda name: (re.search(rf"^{name}\s*: (.*)$", cpu, re.M) or [None, ""])[1]
    text = lambda command: subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=HERE).stdout.strip()
    flags = [f for f in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8") if f in field("flags").split()]
    return {"date": time.strftime("%Y-%m-%d"), "commit": text(["git", "rev-parse", "--short", "HEAD"]),
            "processor": field("model name") or os.uname().machine, "family": field("cpu family"), "model": field("model"), "flags": flags,
            "cores": os.cpu_count(), "java": text([args.java, "-version"]).splitlines()[0], "torch": text([sys.executable, "-c", "import torch; print(torch.__version__)"]),
            "threads": args.threads, "precision": args.precision, "rounds": args.rounds, "millis": args.millis, "processes": args.processes}


def path(args, env):
    """DATE-PROCESSOR[-bf16][-N]: what is there already stays."""
    slug = "-".join(re.findall(r"[a-z0-9]+", re.sub(r"\(r\)|\(tm\)|cpu|processor|@.*", "", env["processor"].lower())))
    name = "-".join(p for p in (env["date"], slug, env["family"], env["model"], "" if args.precision == "fp32" else args.precision) if p)
    n = 1
    os.makedirs(args.out, exist_ok=True)
    while os.path.exists(candidate := os.path.join(args.out, name + ("" if n == 1 else f"-{n}") + ".json")):
        n += 1
    return candidate


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--classpath", required=True, help=argparse.SUPPRESS)
    ap.add_argument("--java", default="java", help=argparse.SUPPRESS)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--precision", default="fp32", choices=["fp32", "bf16"], help="bf16: products and operators on bf16, steps in mixed precision, on both sides")
    ap.add_argument("--rounds", type=int, default=15)
    ap.add_argument("--millis", type=int, default=60, help="of each side in each round; one step of a model at least")
    ap.add_argument("--processes", type=int, default=5, help="of each side, for start-up and memory")
    ap.add_argument("--llmc", metavar="DIR", help="a checkout of llm.c: adds its CPU program")
    ap.add_argument("--launcher", default=os.path.join(HERE, "..", "..", "javelin"), help="the command that starts javelin, for start-up")
    ap.add_argument("--out", default=os.path.join(HERE, "..", "results", "cpu"), help="folder of the results; none: write no files")
    ap.add_argument("only", nargs="*", help='cases whose "group name" contains one of these')
    args = ap.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))  # processes that were stopped must not be left behind
    env = environment(args)
    file = None if args.out == "none" else path(args, env)
    bench, rows = Bench(args), []
    print(f"{report.heading(env)}\n\n{report.HEAD}")
    try:
        for group, name, bar in cases.all_cases(args.precision, args.llmc):
            if args.only and not any(o in f"{group} {name}" for o in args.only):
                continue
            for measure, ours, theirs, bar in bench.rows(group, name, bar):
                rows.append({"group": group, "name": name, "measure": measure, "javelin": ours, "peer": theirs, "bar": bar,
                             "limit": cases.limit(group, name, measure), "load": round(os.getloadavg()[0], 1)})
                print(report.line(rows[-1]), flush=True)
                if file:
                    with open(file, "w") as f:
                        json.dump({"environment": env, "cases": rows}, f, indent=1)
        for mean in report.means(rows, args.precision):
            print(report.mean_line(mean))
    finally:
        if bench.llmc:
            bench.llmc.close()
    if file and rows:
        for written in report.write(file):
            print("wrote", os.path.relpath(written), file=sys.stderr)


if __name__ == "__main__":
    main()
