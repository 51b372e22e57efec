"""Writes hugging_face.json: small tokenizers of every supported component with the ids and texts of Hugging Face's tokenizers.

python3 hugging_face.py   (made with tokenizers 0.23.2)
"""

import json
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

CORPUS = [
    "the quick brown fox jumps over the lazy dog while the other dogs look on, and then the fox looks back",
    "in 2024 and 1999 there were 365 days; 12 months, 7 days a week ... it's what they'd say: \"don't!\"",
    "caf\u00e9 na\u00efve r\u00e9sum\u00e9 \u4f60\u597d\u4e16\u754c \u4f60\u597d",
] * 3

TEXTS = [
    "",
    " ",
    "the other fox",
    "  two  spaces\tand a tab ",
    "12 34567 dogs, 3.5e-7",
    "it's don't they'd!!",
    "cafe\u0301 caf\u00e9 \u4f60\u597d\U0001f600 \u00bd",
    "line\nbreak\r\n\n  x ",
    "a<sep>b <sep> c<sep>",
    "x<end>y  <end>  z<end>",
    "tool_call intool_call tool_callx tool_call",
    "\u2581marked \u2581",
]

LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
O200K = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"

ADDED = [
    AddedToken("<end>", special=True, normalized=False),
    AddedToken("<sep>", special=False, lstrip=True, rstrip=True, normalized=False),
    AddedToken("tool_call", special=False, single_word=True, normalized=True),
]


def byte_level(pre, normalizer=None, prefix_space=False, **model):
    t = Tokenizer(models.BPE(**model))
    if normalizer:
        t.normalizer = normalizer
    steps = pre + [pre_tokenizers.ByteLevel(add_prefix_space=prefix_space, use_regex=not pre)]
    t.pre_tokenizer = steps[0] if len(steps) == 1 else pre_tokenizers.Sequence(steps)
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=320, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    t.add_tokens(ADDED)
    return t


def characters(normalizer, pre, decoder, **model):
    t = Tokenizer(models.BPE(unk_token="<unk>", **model))
    if normalizer:
        t.normalizer = normalizer
    if pre:
        t.pre_tokenizer = pre
    t.decoder = decoder
    specials = ["<unk>"] + ([f"<0x{b:02X}>" for b in range(256)] if model.get("byte_fallback") else [])
    t.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=len(specials) + 100, special_tokens=["<unk>"], show_progress=False, limit_alphabet=40))
    if model.get("byte_fallback"):
        state = json.loads(t.to_str())
        vocab = state["model"]["vocab"]
        for name in specials[1:]:
            vocab[name] = len(vocab)
        t = Tokenizer.from_str(json.dumps(state))
    t.add_tokens(ADDED)
    return t


split = lambda pattern, behavior, invert=False: pre_tokenizers.Split(pattern, behavior, invert)
tokenizers = {
    "gpt2 words": byte_level([]),
    "gpt2 words with a space in front": byte_level([], prefix_space=True),
    "llama3 words": byte_level([split(Regex(LLAMA3), "isolated")], ignore_merges=True),
    "o200k words, NFKC": byte_level([split(Regex(O200K), "isolated")], normalizers.NFKC()),
    "digits": byte_level([pre_tokenizers.Digits(individual_digits=True)], normalizers.NFD()),
    "digit runs": byte_level([pre_tokenizers.Digits(individual_digits=False)], normalizers.NFKD()),
    "removed": byte_level([split(" ", "removed")]),
    "kept by inversion": byte_level([split(Regex(LLAMA3), "removed", True)]),
    "merged with previous": byte_level([split(Regex(r"\s|,"), "merged_with_previous")]),
    "merged with next": byte_level([split(Regex(r"\s|,"), "merged_with_next")]),
    "contiguous": byte_level([split(Regex(r"[\s\p{N}]"), "contiguous")], normalizers.Sequence([normalizers.Replace(Regex(r"\t+"), "->"), normalizers.NFC()])),
    "metaspace always": characters(None, pre_tokenizers.Metaspace(prepend_scheme="always"), decoders.Metaspace(prepend_scheme="always"), fuse_unk=True),
    "metaspace first": characters(None, pre_tokenizers.Metaspace(prepend_scheme="first"), decoders.Metaspace(prepend_scheme="first"), byte_fallback=True),
    "metaspace never, whole": characters(None, pre_tokenizers.Metaspace(prepend_scheme="never", split=False), decoders.Metaspace(prepend_scheme="never"), fuse_unk=False),
    "sentencepiece": characters(
        normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]),
        None,
        decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]),
        byte_fallback=True,
        fuse_unk=True,
    ),
    "gemma words": characters(
        normalizers.Replace(" ", "\u2581"),
        split(" ", "merged_with_previous"),
        decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()]),
        byte_fallback=True,
        fuse_unk=True,
    ),
}
end = tokenizers["llama3 words"].token_to_id("<end>")
tokenizers["llama3 words"].post_processor = processors.Sequence(
    [processors.ByteLevel(trim_offsets=False), processors.TemplateProcessing(single="<end> $A <end>", special_tokens=[("<end>", end)])]
)

out = []
for name, t in tokenizers.items():
    cases = []
    for text in TEXTS:
        t.encode_special_tokens = True
        ids = t.encode(text, add_special_tokens=False).ids
        t.encode_special_tokens = False
        prompt = t.encode(text).ids
        cases.append({"text": text, "ids": ids, "prompt": prompt, "decoded": t.decode(prompt, skip_special_tokens=False), "shown": t.decode(prompt)})
    out.append({"name": name, "tokenizer": json.loads(t.to_str()), "cases": cases})
Path(__file__).with_suffix(".json").write_text(json.dumps(out, ensure_ascii=True, separators=(",", ":")).replace('{"name"', '\n{"name"') + "\n")
