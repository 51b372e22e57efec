"""Writes components.json.gz: every component of tokenizer.json alone, and small tokenizers of all models, with what Hugging Face's
tokenizers makes of random text.

python3 components.py   (made with tokenizers 0.23.2, sentencepiece 0.2.2)
"""

import gzip
import io
import json
import random
from pathlib import Path

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from sentencepiece import sentencepiece_model_pb2

R = random.Random(11)
POOLS = [
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "the and fox dog in of it's don't",
    " " * 8,
    "\t\n\r \u00a0\u2003\u3000\u2028\u0085\u000b\u1680\u200b\ufeff",
    ".,;:!?'\"()[]{}<>@#$%^&*-_=+|\\/~`",
    "\u2019\u201c\u2014\u2026\u00a1\u00bf\u3002\uff0c\u060c\u05be\u00a7\u00b7",
    "0123456789\u00b2\u00bd\u0663\u2167\u3007\u0e53",
    "\u00e9\u00c5\u00df\u0130\u0131\u01c5\ufb01\u1e9e\u00f1\u0152",
    "e\u0301a\u030ao\u0308\u0323n\u0303\u1ea4",
    "\u03a3\u03c3\u03c2\u0391\u03ac\u1f80\u0416\u0436\u0451\u0439",
    "\u4f60\u597d\u4e16\u754c\u3400\U00020000\uf900\u9fd0",
    "\u3042\u30ab\u30fc\u304c\u30d1\uff76\uff9e\uff21\uff11",
    "\ud55c\uad6d\u1112\u1161\u11ab\uac00",
    "\u0627\u0644\u0633\u064e\u0644\u0627\u0645\u0640\u05e9\u05b8\u05dc",
    "\u0915\u094d\u0937\u093f\u0e01\u0e33\u0e49\u1100",
    "\U0001f600\U0001f469\u200d\U0001f4bb\U0001f1e9\U0001f1ea\u2764\ufe0f\U0001f44d\U0001f3fd",
    "\u0000\u0001\u007f\u008f\u00ad\u200d\u200e\ufffd\ue000\u2060",
    "\u2581\u2581 \u2581",
    "\u2460\u3231\u33a1\u00bc\u2122\u212b\u00b5\u2155",
]


def text(length):
    out = ""
    while len(out) < length:
        pool = POOLS[R.choice([0, 0, 0, 1, 1, 2, 2] + list(range(len(POOLS))))]
        run = R.randint(1, 6)
        out += "".join(R.choice(pool) for _ in range(run))
    return out


TEXTS = ["", " ", "a", "\u0301", "The 12 dogs' fox,  isn't (really) caf\u00e9-like!", "  two  spaces ", "a--b", "--", "x\u0301\u0323 \ufb01\u0133", "don't do not 'tis n't"]
TEXTS += [text(R.choice([3, 8, 20, 40])) for _ in range(60)]
BIG = [text(R.choice([10, 40, 120])) for _ in range(40)]

CORPUS = [
    "the quick brown fox jumps over the lazy dog while the other dogs look on, and then the fox looks back",
    "in 2024 and 1999 there were 365 days; 12 months, 7 days a week ... it's what they'd say: \"don't!\"",
    "caf\u00e9 na\u00efve r\u00e9sum\u00e9 \u4f60\u597d\u4e16\u754c \u4f60\u597d \u0416\u0436\u0451 \u0430\u0431\u0432 \u0391\u03ac\u03c3\u03c2",
    "aaaa bbbb abab baba cabac dabad the thee then them there these those",
] * 3


def charsmap():
    """A small table: keys of one character and of several, one that begins another, empty texts, long ones."""
    rules = {
        "\uff21": "A", "\uff76": "\u30ab", "\uff76\uff9e": "\u30ac", "\u2460": "1", "\ufb01": "fi", "e\u0301": "\u00e9", "\u00ad": "",
        "\u3000": " ", "\t": " ", "\n": " ", "\u200b": " ", "\u2122": "TM", "\u00bd": "1\u20442", "\u0130": "i\u0307", "ab": "AB", "abc": "x",
        "\u1112\u1161\u11ab": "\ud55c", "\U0001f44d\U0001f3fd": "+1", "\u3231": "(\u682a)", "\u212b": "\u00c5", "\u0001": "",
    }
    path = Path("/tmp/rules.tsv")
    path.write_text("".join(" ".join("%X" % ord(c) for c in k) + "\t" + " ".join("%X" % ord(c) for c in v) + "\n" for k, v in rules.items()), encoding="utf-8")
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS), model_writer=out, vocab_size=90, normalization_rule_tsv=str(path), hard_vocab_limit=False, minloglevel=2)
    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString(out.getvalue())
    return model.normalizer_spec.precompiled_charsmap


MAP = charsmap()

NORMALIZERS = [
    normalizers.BertNormalizer(),
    normalizers.BertNormalizer(lowercase=False),
    normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=True),
    normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=False, strip_accents=True, lowercase=False),
    normalizers.StripAccents(),
    normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()]),
    normalizers.Lowercase(),
    normalizers.Strip(),
    normalizers.Strip(left=False, right=True),
    normalizers.Strip(left=True, right=False),
    normalizers.Nmt(),
    normalizers.ByteLevel(),
    normalizers.Prepend("\u2581"),
    normalizers.Replace("a", "bb"),
    normalizers.Replace(Regex(r"\s{2,}"), " "),
    normalizers.NFC(),
    normalizers.NFD(),
    normalizers.NFKC(),
    normalizers.NFKD(),
    normalizers.Precompiled(MAP),
    normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " "), normalizers.Lowercase()]),
]

BEHAVIORS = ["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"]
PRE_TOKENIZERS = [
    pre_tokenizers.BertPreTokenizer(),
    pre_tokenizers.Whitespace(),
    pre_tokenizers.WhitespaceSplit(),
    pre_tokenizers.UnicodeScripts(),
    pre_tokenizers.CharDelimiterSplit("e"),
    pre_tokenizers.CharDelimiterSplit("\U0001f600"),
    pre_tokenizers.FixedLength(3),
    pre_tokenizers.Digits(individual_digits=True),
    pre_tokenizers.Digits(individual_digits=False),
    pre_tokenizers.ByteLevel(),
    pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    pre_tokenizers.Metaspace(),
    pre_tokenizers.Metaspace(prepend_scheme="first"),
    pre_tokenizers.Metaspace(prepend_scheme="never", replacement="_"),
    pre_tokenizers.Metaspace(prepend_scheme="always", split=False),
    pre_tokenizers.Sequence([]),
    pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]),
    pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="first")]),
    pre_tokenizers.Sequence([pre_tokenizers.Punctuation(), pre_tokenizers.Metaspace(prepend_scheme="first")]),
    pre_tokenizers.Sequence([pre_tokenizers.ByteLevel(add_prefix_space=False), pre_tokenizers.Digits(individual_digits=True)]),
    pre_tokenizers.Sequence([pre_tokenizers.ByteLevel(add_prefix_space=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]),
    pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Punctuation("removed"), pre_tokenizers.UnicodeScripts()]),
]
PRE_TOKENIZERS += [pre_tokenizers.Punctuation(b) for b in BEHAVIORS]
PRE_TOKENIZERS += [pre_tokenizers.Split(Regex(r"[aeiou]+|\p{Han}|\s"), b, i) for b in BEHAVIORS for i in (False, True)]

TOKENS = ["the", "##ing", "##s", "dog", "\u2581the", "\u2581", "a\u2581b", "fox</w>", "</w>", "x</w>y", "\u0120the", "\u00c3\u00a9", "<0xE4>", "<0xBD>", "<0xA0>", "<0x41>",
          "<pad>", "|", "h", "l", ".", ",", "'", "n't", "do", "not", "'s", "##", "  two ", "\u4f60", "", " a", "?", "<pad>h", "do not", " 'm"]
DECODERS = [
    decoders.WordPiece(),
    decoders.WordPiece(cleanup=False),
    decoders.WordPiece(prefix="@@", cleanup=True),
    decoders.BPEDecoder(),
    decoders.BPEDecoder(suffix="e"),
    decoders.CTC(),
    decoders.CTC(pad_token="l", word_delimiter_token="h", cleanup=False),
    decoders.Metaspace(),
    decoders.Metaspace(prepend_scheme="never"),
    decoders.Metaspace(prepend_scheme="first"),
    decoders.ByteLevel(),
    decoders.ByteFallback(),
    decoders.Fuse(),
    decoders.Replace("\u2581", " "),
    decoders.Replace(Regex("[aeo]+"), "-"),
    decoders.Strip(" ", 1, 1),
    decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]),
    decoders.Sequence([decoders.WordPiece(cleanup=False), decoders.Fuse(), decoders.Strip("t", 1, 0)]),
]

ADDED = [
    AddedToken("<end>", special=True, normalized=False),
    AddedToken("<Sep>", special=False, lstrip=True, rstrip=True, normalized=False),
    AddedToken("<Norm>", special=True, normalized=True, rstrip=True),
    AddedToken("Fox", special=False, single_word=True, normalized=True),
]
MARKED = ["a<end>b <Sep> c<Sep>", "x<Norm>  y<norm>Fox foxes Fox", "<end>", " <end> the", "fox<end><end>the  <Sep>", "the<Norm> <end>\u2581fox"]


def decoded(part, tokens):
    """None where the library panics: Strip, on some tokens that it takes all of."""
    try:
        return part.decode(tokens)
    except BaseException:
        return None


def component(t, attribute, part):
    setattr(t, attribute, part)
    return json.loads(t.to_str())[attribute]


def trained(model, trainer, normalizer=None, pre=None, decoder=None, post=None, corpus=CORPUS):
    t = Tokenizer(model)
    if normalizer:
        t.normalizer = normalizer
    if pre:
        t.pre_tokenizer = pre
    if decoder:
        t.decoder = decoder
    t.train_from_iterator(corpus, trainer)
    t.add_tokens(ADDED)
    if post:
        t.post_processor = post(t)
    return t


def word_piece(**kw):
    return trainers.WordPieceTrainer(vocab_size=180, special_tokens=["[UNK]", "[CLS]", "[SEP]"], show_progress=False, **kw)


def pairs(size=160, **kw):
    return trainers.BpeTrainer(vocab_size=size, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False, **kw)


def unigram(size=120, **kw):
    return trainers.UnigramTrainer(vocab_size=size, special_tokens=["<s>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False, **kw)


def with_bytes(t):
    """The same with a token for each byte but one."""
    state = json.loads(t.to_str())
    model = state["model"]
    if model["type"] == "Unigram":
        model["vocab"] = model["vocab"] + [[f"<0x{b:02X}>", -30.0] for b in range(256) if b != 0xE2]
        model["byte_fallback"] = True
        added = state["added_tokens"]
        for token in added:
            if token["id"] > 2:
                token["id"] += 255
    return Tokenizer.from_str(json.dumps(state))


TOKENIZERS = {
    "bert": trained(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=20), word_piece(), normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer(), decoders.WordPiece(),
                    lambda t: processors.BertProcessing(("[SEP]", t.token_to_id("[SEP]")), ("[CLS]", t.token_to_id("[CLS]")))),
    "word piece, cased, template": trained(models.WordPiece(unk_token="[UNK]"), word_piece(continuing_subword_prefix="@"), None, pre_tokenizers.Whitespace(), decoders.WordPiece(prefix="@", cleanup=False),
                    lambda t: processors.TemplateProcessing(single="[CLS] $A:3 [SEP]:1", pair="$B:1 [SEP]:2 $A [CLS]:4", special_tokens=[("[CLS]", 1), ("[SEP]", 2)])),
    "word level": trained(models.WordLevel(unk_token="[UNK]"), trainers.WordLevelTrainer(vocab_size=60, special_tokens=["[UNK]"], show_progress=False), normalizers.Lowercase(), pre_tokenizers.Whitespace()),
    "word level of bytes": trained(models.WordLevel(unk_token="[UNK]"), trainers.WordLevelTrainer(vocab_size=60, special_tokens=["[UNK]"], show_progress=False), None, pre_tokenizers.ByteLevel(), decoders.ByteLevel(), lambda t: processors.ByteLevel()),
    "clip": trained(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"), pairs(end_of_word_suffix="</w>"), normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]),
                    pre_tokenizers.BertPreTokenizer(), decoders.BPEDecoder(),
                    lambda t: processors.RobertaProcessing(("</s>", 2), ("<s>", 1))),
    "clip of bytes": trained(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>", continuing_subword_prefix=""), pairs(end_of_word_suffix="</w>", initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), size=420), normalizers.Lowercase(),
                    pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(r"'s|'t|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"), "removed", True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]),
                    decoders.Sequence([decoders.BPEDecoder(), decoders.ByteLevel()])),
    "continuing pairs": trained(models.BPE(unk_token="<unk>", fuse_unk=True, continuing_subword_prefix="##"), pairs(continuing_subword_prefix="##"), None, pre_tokenizers.WhitespaceSplit(), decoders.WordPiece()),
    "pairs, some bytes": trained(models.BPE(unk_token="<unk>", byte_fallback=True), trainers.BpeTrainer(vocab_size=260, special_tokens=["<unk>"] + [f"<0x{b:02X}>" for b in range(0x80, 0xE3)], show_progress=False, limit_alphabet=30),
                    None, pre_tokenizers.Metaspace(), decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])),
    "pairs, whole words": trained(models.BPE(unk_token="<unk>", ignore_merges=True, fuse_unk=True), pairs(limit_alphabet=25), None, pre_tokenizers.Punctuation("merged_with_previous"), decoders.Fuse()),
    "pairs of bytes by the normalizer": trained(models.BPE(), pairs(initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), size=360), normalizers.ByteLevel(), pre_tokenizers.Split("\u0120", "merged_with_next"), decoders.ByteLevel()),
    "unigram": trained(models.Unigram(), unigram(), normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]), pre_tokenizers.Metaspace(), decoders.Metaspace(),
                    lambda t: processors.TemplateProcessing(single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)])),
    "unigram, table": trained(models.Unigram(), unigram(), normalizers.Sequence([normalizers.Precompiled(MAP), normalizers.Strip(left=False, right=True), normalizers.Replace(Regex(" {2,}"), "\u2581")]), pre_tokenizers.Metaspace(prepend_scheme="first"), decoders.Metaspace(),
                    lambda t: processors.RobertaProcessing(("</s>", 1), ("<s>", 0), add_prefix_space=False)),
    "unigram of texts": trained(models.Unigram(), unigram(), None, None, decoders.Fuse()),
    "unigram, bytes": with_bytes(trained(models.Unigram(), unigram(), None, pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]), decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()]))),
}

SCRATCH = Tokenizer(models.WordLevel({"a": 0}, unk_token="a"))
out = {"normalizers": [], "pre_tokenizers": [], "decoders": [], "tokenizers": []}
for part in NORMALIZERS:
    out["normalizers"].append({"json": component(SCRATCH, "normalizer", part), "cases": [[t, part.normalize_str(t)] for t in TEXTS]})
for part in PRE_TOKENIZERS:
    cases = [[t, [w for w, _ in part.pre_tokenize_str(t)]] for t in TEXTS if t]
    out["pre_tokenizers"].append({"json": component(SCRATCH, "pre_tokenizer", part), "cases": cases})
lists = [[]] + [[t] for t in TOKENS] + [[R.choice(TOKENS) for _ in range(R.randint(2, 9))] for _ in range(40)]
for part in DECODERS:
    out["decoders"].append({"json": component(SCRATCH, "decoder", part), "cases": [c for c in ([l, decoded(part, l)] for l in lists) if c[1] is not None]})
for name, t in TOKENIZERS.items():
    cases = []
    folded = {t.token_to_id(a.content) for a in ADDED if a.normalized and t.normalizer and t.normalizer.normalize_str(a.content) != a.content}
    for one in MARKED + TEXTS[:20] + BIG:
        second = R.choice(TEXTS)
        t.encode_special_tokens = True
        plain = t.encode(one, add_special_tokens=False).ids
        t.encode_special_tokens = False
        prompt = t.encode(one)
        two = t.encode(one, second)
        # 0.23 decodes added tokens as they are normalised, and shows special ones then; 0.22 and Javelin write their names
        named = not folded & set(prompt.ids)
        cases.append({"text": one, "second": second, "ids": plain, "prompt": prompt.ids, "types": prompt.type_ids, "pair": two.ids, "pair_types": two.type_ids,
                      "decoded": t.decode(prompt.ids, skip_special_tokens=False) if named else None, "shown": t.decode(prompt.ids) if named else None})
    out["tokenizers"].append({"name": name, "tokenizer": json.loads(t.to_str()), "cases": cases})

def ranges(member):
    """First and last code points of the ranges of those with a property."""
    found = []
    for c in range(0x110000):
        if not 0xD800 <= c < 0xE000 and member(chr(c)):
            if found and found[-1] == c - 1:
                found[-1] = c
            else:
                found += [c, c]
    return found


def dropped(part):
    return ranges(lambda c: part.normalize_str("a" + c + "b") == "ab")


def alone(part):
    return ranges(lambda c: len(part.pre_tokenize_str("a" + c + "b")) > 1)


def with_script(representative):
    part = pre_tokenizers.UnicodeScripts()
    return ranges(lambda c: len(part.pre_tokenize_str(representative + c)) == 1)


bert = lambda **kw: normalizers.BertNormalizer(**({"clean_text": False, "handle_chinese_chars": False, "strip_accents": False, "lowercase": False} | kw))
out["kinds"] = {
    "control": dropped(bert(clean_text=True)),
    "accent": dropped(bert(strip_accents=True)),
    "mark": dropped(normalizers.StripAccents()),
    "chinese": ranges(lambda c: len(bert(handle_chinese_chars=True).normalize_str(c)) > 1),
    "punctuation": alone(pre_tokenizers.Punctuation()),
    "space": alone(pre_tokenizers.WhitespaceSplit()),
    "LATIN": with_script("a"),
    "HAN": with_script("\u4eac"),
    "COMMON": with_script("0"),
    "INHERITED": with_script("\u0301"),
    "CYRILLIC": with_script("\u0436"),
    "DEVANAGARI": with_script("\u0915"),
}
data = json.dumps(out, ensure_ascii=True, separators=(",", ":"))
with open(Path(__file__).with_name("components.json.gz"), "wb") as file:
    with gzip.GzipFile(fileobj=file, mode="wb", mtime=0, filename="") as zipped:
        zipped.write(data.encode())
print(len(data), {n: len(t.to_str()) for n, t in TOKENIZERS.items()})
