#!/usr/bin/env python3
"""A result of bench/cpu/compare.sh as a page and a picture: report.py RESULT.json… writes RESULT.md and RESULT.svg beside it."""
import json, math, os, re, statistics, sys
from xml.sax.saxutils import escape

import cases

HEAD = "| case | Javelin | peer | ratio | bar | load |\n|---|---|---|---|---|---|"
PEERS = {"llm.c": "llm.c"}


def heading(env):
    return (f"{env['date']}, commit {env['commit']}, {env['processor']} (family {env['family']}, model {env['model']}; {' '.join(env['flags'])}), "
            f"{env['threads']} threads, {env['precision']}, PyTorch {env['torch']}, {env['rounds']} rounds of {env['millis']} ms")


def ratio(row):
    """The median over the rounds of the peer's value over ours."""
    return statistics.median(b / a if a > 0 else math.nan for a, b in zip(row["javelin"], row["peer"]))


def missed(row):
    ours = statistics.median(row["javelin"])
    return bool(row["bar"] and ratio(row) < row["bar"]) or bool(row["limit"] and ours > row["limit"])


def number(v):
    return f"{v:.3f}" if v < 100 else f"{v:.0f}"


def line(row):
    ours, theirs = statistics.median(row["javelin"]), statistics.median(row["peer"])
    bar = f"≤ {row['limit']}" if row["limit"] else row["bar"] or ""
    return (f"| {row['group']} {row['name']} | {number(ours)} {row['measure']} | {number(theirs)} | {ratio(row):.2f}{' (missed)' if missed(row) else ''} "
            f"| {bar} | {row['load']} |")


def means(rows, precision):
    """(name, number of cases, geometric mean, bar)"""
    products = [r for r in rows if r["group"] == "matmul"]
    gradients = [r for r in products if r["name"].endswith("-tn")]
    for name, of, bar in (("matrix products", products, cases.MEANS[precision]),
                          ("weight gradients among them", gradients, cases.WEIGHT_GRADIENTS if precision == "bf16" else None)):
        if of:
            yield name, len(of), math.exp(statistics.mean(math.log(ratio(r)) for r in of)), bar


def mean_line(mean):
    name, count, value, bar = mean
    return f"| **{count} {name}, geometric mean** | | | **{value:.2f}**{' (missed)' if bar and value < bar else ''} | {bar or ''} | |"


def long_table(rows):
    """Attention over the length of a sequence, per token."""
    table = {}
    for r in rows:
        shape = re.fullmatch(r"b1h1k1t(\d+)d64(-backward)?", r["name"])
        if shape:
            what = "memory" if r["group"] == "memory" else "backward" if shape[2] else "forward"
            table.setdefault(int(shape[1]), {})[what] = [statistics.median(r[s]) for s in ("javelin", "peer")]
    if not table:
        return []
    lines = ["", "## Attention over the length", "", "One head of 64 features, causal; microseconds a token, megabytes of tensors and work, Javelin and PyTorch.", "",
             "| T | forward | PyTorch | backward | PyTorch | MB | PyTorch |", "|---|---|---|---|---|---|---|"]
    for t, row in sorted(table.items()):
        cells = [f"{v:.1f}" if what == "memory" else f"{v * 1000 / t:.3f}" for what in ("forward", "backward", "memory") for v in row.get(what, [math.nan] * 2)]
        lines.append(f"| {t} | " + " | ".join(c.replace("nan", "") for c in cells) + " |")
    return lines


def markdown(result):
    env, rows = result["environment"], result["cases"]
    lines = [f"# {env['date']}, {env['processor']}, {env['precision']}", "",
             "Written by `bench/cpu/report.py` from the file of the same name that ends in `.json`.\n" + heading(env) + ".",
             "The ratio is the peer's time (or memory) over Javelin's, the median over the rounds; above 1 is better. The peer is PyTorch, in the rows of llm.c its CPU program.",
             "", HEAD]
    lines += [line(r) for r in rows] + [mean_line(m) for m in means(rows, env["precision"])]
    return "\n".join(lines + long_table(rows)) + "\n"


def svg(result):
    """A bar a case, from 1 to its ratio, on a logarithmic scale."""
    env, rows = result["environment"], result["cases"]
    left, wide, high, top = 330, 520, 14, 46
    low, most = 0.25, 16.0
    x = lambda v: left + wide * math.log(min(max(v, low), most) / low) / math.log(most / low)
    groups = len({r["group"] for r in rows})
    height = top + high * (len(rows) + groups) + 16
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + wide + 70} {height}" font-family="sans-serif" font-size="10">',
           '<rect width="100%" height="100%" fill="#fff"/>',
           f'<text x="8" y="16" font-size="12" fill="#222">{escape(env["processor"])}, {env["threads"]} threads, {env["precision"]}, {env["date"]}: times faster than the peer; red: a bar that was missed</text>']
    for v in (0.25, 0.5, 1, 2, 4, 8, 16):
        out.append(f'<line x1="{x(v):.1f}" x2="{x(v):.1f}" y1="{top - 8}" y2="{height - 12}" stroke="{"#444" if v == 1 else "#ddd"}"/>')
        out.append(f'<text x="{x(v):.1f}" y="{top - 12}" text-anchor="middle" fill="#666">{v:g}</text>')
    y, group = top, None
    for r in rows:
        if r["group"] != group:
            group = r["group"]
            out.append(f'<text x="8" y="{y + 11}" font-weight="bold" fill="#222">{escape(group)}</text>')
            y += high
        v = ratio(r)
        name = r["name"] + ("" if r["measure"] in ("ms", "MB") else ", " + r["measure"])
        out.append(f'<text x="{left - 6}" y="{y + 10}" text-anchor="end" fill="#444">{escape(name)}</text>')
        if math.isfinite(v):
            a, b = sorted((x(1), x(v)))
            out.append(f'<rect x="{a:.1f}" y="{y + 2}" width="{max(b - a, 1):.1f}" height="{high - 4}" fill="{"#c4552d" if missed(r) else "#3a7ca5"}"/>')
            out.append(f'<text x="{x(max(v, 1)) + 4:.1f}" y="{y + 10}" fill="#444">{v:.2f}</text>')
        y += high
    return "\n".join(out + ["</svg>"]) + "\n"


def write(file):
    with open(file) as f:
        result = json.load(f)
    base = os.path.splitext(file)[0]
    for suffix, text in ((".md", markdown(result)), (".svg", svg(result))):
        with open(base + suffix, "w") as f:
            f.write(text)
        yield base + suffix


if __name__ == "__main__":
    for file in sys.argv[1:]:
        for written in write(file):
            print("wrote", written)
