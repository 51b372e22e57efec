"""Writes sentencepiece.json.gz: small tokenizer.model files of both kinds, and what sentencepiece makes of random text.

python3 sentencepiece.py   (made with sentencepiece 0.2.2)
"""

import base64
import gzip
import importlib
import io
import json
import random
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path = [p for p in sys.path if Path(p or ".").resolve() != HERE]
sentencepiece = importlib.import_module("sentencepiece")
proto = importlib.import_module("sentencepiece.sentencepiece_model_pb2")

R = random.Random(5)
POOLS = [
    "abcdefghijklmnopqrstuvwxyz", "the and fox dog in of it's don't", "      ", "\t\n\u00a0\u3000\u2028\u200b\ufeff", ".,;:!?'\"()<>#$%&-_=+|",
    "0123456789\u00b2\u00bd", "\u00e9\u00df\u0130\ufb01\u00f1", "e\u0301a\u030ao\u0308\u0323", "\u03a3\u03c3\u0416\u0436\u0451", "\u4f60\u597d\u4e16\u754c\U00020000",
    "\u3042\u30ab\u30fc\uff76\uff9e\uff21\uff11", "\ud55c\uad6d\u1112\u1161\u11ab", "\U0001f600\U0001f469\u200d\U0001f4bb\U0001f44d\U0001f3fd", "\u0001\u007f\u00ad\ufffd",
    "\u2581 ", "\u2460\u3231\u2122\u212b",
]
SPECIAL = ["<sep>", "<sep", "[a b]", "foo", "foobar", "<s>", "</s>", "<unk>", "<0x41>", "\u2581", "  ", "aa", "zzz"]


def text(length):
    out = ""
    while len(out) < length:
        pool = POOLS[R.choice([0, 0, 0, 1, 1, 2] + list(range(len(POOLS))))]
        out += R.choice(SPECIAL) if R.random() < 0.15 else "".join(R.choice(pool) for _ in range(R.randint(1, 6)))
    return out


TEXTS = ["", " ", "  ", "a", "the fox", " the  fox ", "\u2581the", "foobar foo <sep><sep> [a b]", "aaaa aaa", "zzzz"] + [text(R.choice([4, 15, 40, 100])) for _ in range(70)]
CORPUS = [
    "the quick brown fox jumps over the lazy dog while the other dogs look on, and then the fox looks back",
    "in 2024 and 1999 there were 365 days; 12 months, 7 days a week ... it's what they'd say: \"don't!\"",
    "caf\u00e9 na\u00efve r\u00e9sum\u00e9 \u4f60\u597d\u4e16\u754c \u4f60\u597d \u0416\u0436\u0451 \u0430\u0431\u0432",
    "aaaa bbbb abab baba cabac dabad the thee then them there these those foo bar foobar   indented  twice",
] * 4
RULES = {"\uff21": "A", "\uff76": "\u30ab", "\uff76\uff9e": "\u30ac", "\u2460": "1", "\ufb01": "fi", "e\u0301": "\u00e9", "\u00ad": "", "\u3000": " ", "\t": " ", "\n": "  ",
         "\u2122": "TM", "ab": "AB", "abc": " x ", "\u1112\u1161\u11ab": "\ud55c", "\U0001f44d\U0001f3fd": "+1", "\u0001": "", "fo": "\u0416"}


def train(**options):
    rules = Path("/tmp/rules.tsv")
    rules.write_text("".join(" ".join("%X" % ord(c) for c in k) + "\t" + " ".join("%X" % ord(c) for c in v) + "\n" for k, v in RULES.items()), encoding="utf-8")
    out = io.BytesIO()
    if options.pop("table", False):
        options["normalization_rule_tsv"] = str(rules)
    else:
        options["normalization_rule_name"] = "identity"
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(CORPUS), model_writer=out, hard_vocab_limit=False, minloglevel=2, **options)
    return out.getvalue()


def changed(model, change):
    message = proto.ModelProto()
    message.ParseFromString(model)
    change(message)
    return message.SerializeToString()


def equal_scores(m):
    for piece in m.pieces:
        if piece.type == 1:
            piece.score = float(int(piece.score) // 10 * 10)


def orphans(m):
    """Takes pieces of one character out, so that pairs are made of what is no piece."""
    kept = [p for p in m.pieces if not (p.type == 1 and p.piece in "aeth")]
    del m.pieces[:]
    m.pieces.extend(kept)


def unused(m):
    for piece in m.pieces:
        if piece.type == 1 and len(piece.piece) == 4:
            piece.type = 5


USER = ["<sep>", "[a b]", "foo", "foobar", "  ", "aa"]
MODELS = {
    "bpe": train(model_type="bpe", vocab_size=120),
    "bpe, bytes": train(model_type="bpe", vocab_size=400, byte_fallback=True, remove_extra_whitespaces=False),
    "bpe, user-defined": train(model_type="bpe", vocab_size=420, byte_fallback=True, user_defined_symbols=USER, add_dummy_prefix=False, remove_extra_whitespaces=False, allow_whitespace_only_pieces=True),
    "bpe, table": train(model_type="bpe", vocab_size=130, table=True, user_defined_symbols=USER),
    "bpe, suffix": train(model_type="bpe", vocab_size=130, treat_whitespace_as_suffix=True),
    "bpe, equal scores": changed(train(model_type="bpe", vocab_size=140), equal_scores),
    "bpe, characters that are no pieces": changed(train(model_type="bpe", vocab_size=140), orphans),
    "unigram": train(model_type="unigram", vocab_size=120),
    "unigram, bytes": train(model_type="unigram", vocab_size=380, byte_fallback=True, remove_extra_whitespaces=False),
    "unigram, user-defined": train(model_type="unigram", vocab_size=130, user_defined_symbols=USER, control_symbols=["<ctl>"]),
    "unigram, table": train(model_type="unigram", vocab_size=130, table=True, user_defined_symbols=["<sep>", "fox"], bos_id=-1, eos_id=1, unk_id=0, pad_id=2),
    "unigram, suffix": train(model_type="unigram", vocab_size=120, treat_whitespace_as_suffix=True, remove_extra_whitespaces=False),
    "unigram, unused": changed(train(model_type="unigram", vocab_size=140), unused),
}

out = []
for name, model in MODELS.items():
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    cases = []
    for t in TEXTS:
        ids = processor.encode(t)
        # sentencepiece writes unknown pieces as " \u2047 "
        decoded = None if processor.unk_id() in ids else processor.decode(ids)
        cases.append({"text": t, "ids": ids, "decoded": decoded})
    out.append({"name": name, "model": base64.b64encode(model).decode(), "cases": cases})
data = json.dumps(out, ensure_ascii=True, separators=(",", ":"))
with open(HERE / "sentencepiece.json.gz", "wb") as file:
    with gzip.GzipFile(fileobj=file, mode="wb", mtime=0, filename="") as zipped:
        zipped.write(data.encode())
print(len(data), {n: len(m) for n, m in MODELS.items()})
