"""What bench/cpu/compare.sh measures: groups of cases, each with the ratio it has to reach (PyTorch's time over Javelin's; bytes for memory)."""

WIDTHS = [  # tokens, and (out, in) of the linear layers of the models that wide
    (768, [(384, 128), (128, 128), (512, 128), (128, 512), (704, 128), (128, 352), (65, 128)]),
    (4096, [(1152, 384), (384, 384), (1536, 384), (384, 1536), (2048, 384), (384, 1024), (65, 384)]),
    (2048, [(2304, 768), (768, 768), (3072, 768), (768, 3072)]),
]
MEANS = {"fp32": 1.2, "bf16": 1.0}  # of all matrix products
WEIGHT_GRADIENTS = 1.5  # in bf16, their geometric mean


def matmul_names():
    for n in (512, 1024, 2048):
        yield f"{n}x{n}x{n}-nn"
    for tokens, layers in WIDTHS:
        for out, inner in layers:
            yield f"{tokens}x{out}x{inner}-nt"  # forward
            yield f"{tokens}x{inner}x{out}-nn"  # gradient of the input
            yield f"{out}x{inner}x{tokens}-tn"  # gradient of the weight, accumulated


OPS = ["rmsnorm-768x128", "rmsnorm-4096x384", "rmsnorm-backward-768x128", "rmsnorm-backward-4096x384", "swiglu-768x352", "swiglu-4096x1024",
       "softmax-3072x64", "softmax-24576x256", "cross-entropy-768x65", "cross-entropy-4096x65", "rope-12x64x4x32", "rope-16x256x6x64",
       "adamw-800000", "adamw-10000000", "exp-3145728", "gelu-768x512", "gelu-4096x1536",
       "attention-12x64x4x32", "attention-16x256x6x64", "attention-backward-12x64x4x32", "attention-backward-16x256x6x64"]
MODELS = ["shakespeare-cpu", "llama-shakespeare-cpu", "shakespeare", "llama-shakespeare"]
LARGE = ["gpt2-124m-4x64", "gpt2-124m-4x512"]
LONG = [1024, 2048, 4096, 8192, 16384]  # tokens of a sequence, one head of 64 features
START = ["llama-small-8x128", "gpt2-shakespeare-cpu"]


def all_cases(precision, llmc):
    """(group, name, bar) in the order in which they are measured."""
    half = precision != "fp32"
    for name in OPS:
        if not (half and name.startswith("exp")):  # a loop over fp32
            yield "op", name, 1.0
    for name in MODELS + LARGE:
        yield "train", name, 1.3 if not half or name in ["llama-shakespeare"] + LARGE else None
    for name in matmul_names():
        yield "matmul", name, None if half else 0.9
    for name in ("llama-small-16x100", "llama-124m-128x32"):
        yield "generate", name, None
    for t in LONG:
        for way in ("", "-backward"):
            yield "attn", f"b1h1k1t{t}d64{way}", None
    for name in MODELS:
        yield "memory", name, 1.0
    for t in LONG:
        yield "memory", f"b1h1k1t{t}d64-backward", None
    if not half:
        for name in ("llama-small-8x128", "llama-shakespeare-cpu"):
            yield "start", f"train-{name}", None
        yield "start", "generate-llama-small-16x100", None
        if llmc:
            for name in LARGE:
                yield "llm.c", name, 3.0 if name == LARGE[0] else None


# What Javelin may take at most, beside ratios: (group, part of a name, measure) -> limit.
LIMITS = {("start", "train", "first step s"): 2.0, ("start", "train", "ten steps / steady"): 2.5, ("start", "generate", "first token s"): 1.5}


def limit(group, name, measure):
    return next((v for (g, part, m), v in LIMITS.items() if g == group and m == measure and part in name), None)
