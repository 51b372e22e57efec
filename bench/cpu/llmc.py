"""llm.c's CPU program (https://github.com/karpathy/llm.c, train_gpt2.c) as a side of the comparison, from a checkout that the user names.

It is compiled as its Makefile does with OpenMP, with other sizes of the batch and without validation and sampling, and starts from random weights
in its own file format. Between rounds it is stopped, so that the other side has the machine; the step that was under way is not counted.
"""
import array, os, random, re, shutil, signal, subprocess, sys, tempfile

FLAGS = ["-Ofast", "-fopenmp", "-DOMP", "-march=native", "-Wno-unused-result"]
LAYERS, HEADS, WIDTH, VOCABULARY, PADDED, POSITIONS = 12, 12, 768, 50257, 50304, 1024


def replace(text, old, new):
    if text.count(old) != 1:
        sys.exit(f"compare: llm.c has changed: {old!r} stands {text.count(old)} times in train_gpt2.c")
    return text.replace(old, new)


class LlmC:
    def __init__(self, source, threads):
        self.source, self.threads = os.path.abspath(source), threads
        if not os.path.exists(os.path.join(self.source, "train_gpt2.c")):
            sys.exit(f"compare: no train_gpt2.c in {source}: git clone https://github.com/karpathy/llm.c, and give its folder to --llmc")
        self.folder, self.case, self.process = tempfile.mkdtemp(prefix="llmc-"), None, None
        self.write_weights()
        self.write_tokens()

    def write_weights(self):
        c, n = WIDTH, LAYERS
        sizes = [("table", PADDED * c), ("table", POSITIONS * c), ("norm", n * c), ("bias", n * c), ("w", n * 3 * c * c), ("bias", n * 3 * c), ("w", n * c * c),
                 ("bias", n * c), ("norm", n * c), ("bias", n * c), ("w", n * 4 * c * c), ("bias", n * 4 * c), ("w", n * 4 * c * c), ("bias", n * c),
                 ("norm", c), ("bias", c)]
        draw = random.Random(1)
        block = array.array("f", (draw.gauss(0, 0.02) for _ in range(1 << 18)))
        with open(os.path.join(self.folder, "gpt2_124M.bin"), "wb") as f:
            array.array("i", [20240326, 3, POSITIONS, VOCABULARY, LAYERS, HEADS, WIDTH, PADDED] + [0] * 248).tofile(f)
            for kind, size in sizes:
                if kind in ("norm", "bias"):
                    array.array("f", [1.0 if kind == "norm" else 0.0] * size).tofile(f)
                else:
                    for at in range(0, size, len(block)):
                        block[:size - at].tofile(f)

    def write_tokens(self):
        folder, count = os.path.join(self.folder, "dev/data/tinyshakespeare"), 1 << 16
        os.makedirs(folder)
        draw = random.Random(2)
        for part in ("train", "val"):
            with open(os.path.join(folder, f"tiny_shakespeare_{part}.bin"), "wb") as f:
                array.array("i", [20240520, 1, count] + [0] * 253).tofile(f)
                array.array("H", (draw.randrange(VOCABULARY) for _ in range(count))).tofile(f)

    def start(self, case):
        self.stop()
        batch, length = re.fullmatch(r"gpt2-124m-(\d+)x(\d+)", case).groups()
        with open(os.path.join(self.source, "train_gpt2.c")) as f:
            text = f.read()
        for old, new in (("int B = 4;", f"int B = {batch};"), ("int T = 64;", f"int T = {length};"), ("step <= 40;", "step <= 1000000;"),
                         ("if (step % 10 == 0)", "if (0)"), ("if (step > 0 && step % 20 == 0)", "if (0)")):
            text = replace(text, old, new)
        program, patched = os.path.join(self.folder, "train_gpt2"), os.path.join(self.folder, "train_gpt2.c")
        with open(patched, "w") as f:
            f.write(text)
        subprocess.run([os.environ.get("CC", "gcc"), *FLAGS, "-I", self.source, patched, "-o", program, "-lm"], check=True)
        self.process = subprocess.Popen(["stdbuf", "-oL", program], cwd=self.folder, stdout=subprocess.PIPE, text=True,
                                        env=dict(os.environ, OMP_NUM_THREADS=str(self.threads)))
        self.case = case
        self.step()

    def step(self):
        while line := self.process.stdout.readline():
            if took := re.match(r"step \d+: train loss \S+ \(took (\S+) ms\)", line):
                return float(took[1])
        sys.exit("compare: llm.c's program ended")

    def ask(self, case):
        if case != self.case:
            self.start(case)
        self.process.send_signal(signal.SIGCONT)
        self.step()  # was under way when the program was stopped
        took = self.step()
        self.process.send_signal(signal.SIGSTOP)
        return took

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def close(self):
        self.stop()
        shutil.rmtree(self.folder)
