"use strict";
// Charts as SVG: numbers, scales, curves, and a cursor that all charts share.

/** An element with attributes and children; "on…" are listeners, null children are left out. */
function element(make, tag, attributes, children) {
  const e = make(tag);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key.startsWith("on")) e.addEventListener(key.slice(2), value);
    else if (value !== null && value !== false) e.setAttribute(key, value === true ? "" : value);
  }
  e.append(...children.filter(child => child !== null && child !== undefined));
  return e;
}
const html = (tag, attributes, ...children) => element(t => document.createElement(t), tag, attributes, children);
const svg = (tag, attributes, ...children) =>
  element(t => document.createElementNS("http://www.w3.org/2000/svg", t), tag, attributes, children);

/** Four digits, with k, M, G, T for thousands, or KiB … for bytes. */
function shown(value, unit) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (unit === "bytes" && size >= 1024) return scaled(value, 1024, ["KiB", "MiB", "GiB", "TiB"], " ");
  if (size >= 1e15 || (size < 1e-3 && size > 0)) return value.toExponential(2).replace("e+", "e");
  if (size >= 1e4) return scaled(value, 1000, ["k", "M", "G", "T"], " ");
  return String(Number(value.toPrecision(4)));
}
function scaled(value, base, names, space) {
  let power = 0;
  do {
    value /= base;
    power++;
  } while (Math.abs(value) >= 999.5 && power < names.length);
  return Number(value.toPrecision(3)) + space + names[power - 1];
}
const whole = value => Math.round(value).toLocaleString("en-US");
/** "3 h 25 min" */
function duration(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  if (seconds < 100) return `${Math.round(seconds)} s`;
  if (seconds < 6000) return `${Math.round(seconds / 60)} min`;
  const minutes = Math.round(seconds / 60);
  return minutes < 2880 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${(minutes / 1440).toFixed(1)} days`;
}

/** The points of a curve of the data: s are differences of steps, m means, l and h the extremes. */
function points(curve) {
  let step = 0;
  return curve.s.map((difference, i) => {
    step += difference;
    return { step, y: curve.m[i], low: (curve.l || curve.m)[i], high: (curve.h || curve.m)[i] };
  });
}

/** The exponential mean, without the bias of its beginning. */
function smoothed(values, weight) {
  let sum = 0, total = 0;
  return values.map(v => {
    sum = weight * sum + (1 - weight) * v;
    total = weight * total + (1 - weight);
    return sum / total;
  });
}

/** Round numbers in a range, about so many. */
function ticks(from, to, about) {
  const rough = (to - from) / about;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 2.5, 5, 10].find(m => m * power >= rough * 0.999) || 10);
  const all = [];
  for (let i = Math.ceil(from / step - 1e-9); i * step <= to + step * 1e-9; i++) all.push(i * step);
  return all;
}
/** The same in KiB, MiB … */
function byteTicks(from, to, about) {
  const unit = 1024 ** Math.max(0, Math.floor(Math.log(to) / Math.log(1024)));
  return ticks(from / unit, to / unit, about).map(t => t * unit);
}
function logTicks(from, to, about) {
  const decades = Math.log10(to / from);
  const digits = decades < 1.2 ? [1, 2, 3, 5] : decades < 2.5 ? [1, 3] : [1];
  const every = Math.max(1, Math.ceil(decades / about));
  const all = [];
  for (let p = Math.floor(Math.log10(from)); p <= Math.log10(to); p++) {
    if (p % every === 0) all.push(...digits.map(d => d * 10 ** p).filter(t => t >= from && t <= to));
  }
  return all.length > 1 ? all : ticks(from, to, about).filter(t => t > 0);
}

/** The index of the point nearest to x; points rise. */
function nearest(list, x) {
  let low = 0, high = list.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (list[middle].x < x) low = middle; else high = middle;
  }
  return x - list[low].x <= list[high].x - x ? low : high;
}

/** An event in words; its text may begin with its kind. */
const happened = e => `step ${whole(e.step)}: ${e.text.startsWith(e.kind) ? "" : e.kind + " "}${e.text}`;

const MARGIN = { left: 50, right: 12, top: 10, bottom: 22 };
let clips = 0;

/**
 * A card with a chart. spec: title, unit, series [{label, color, dash, points, smooth, dots}], wide, log (at first; "auto" where a few values are far above the rest), zero,
 * robust (a few values far above the rest are cut off), events [{x, step, kind, text, alert}]. view: what all charts share: axis, smooth, logs, cursor, moved(x), changed().
 */
class Chart {
  constructor(spec, view) {
    this.spec = spec;
    this.view = view;
    this.legend = html("div", { class: "legend" });
    this.note = html("div", { class: "note" });
    this.plot = svg("svg", {
      class: "plot", role: "img", tabindex: 0, "data-chart": spec.id,
      onpointermove: e => this.point(e), onpointerdown: e => this.point(e),
      onpointerleave: e => e.pointerType === "mouse" && view.moved(null),
      onkeydown: e => this.key(e),
    });
    this.log = html("button", { type: "button", "aria-pressed": String(this.isLog()), title: "Logarithmic scale", onclick: () => {
      view.logs[spec.id] = !this.isLog();
      this.log.setAttribute("aria-pressed", String(this.isLog()));
      view.changed();
      this.draw();
    } }, "log");
    const unit = spec.unit && spec.unit !== "bytes" ? html("span", { class: "faint" }, spec.unit) : null;
    this.card = html("section", { class: spec.wide ? "card wide" : "card" },
      html("div", { class: "row" }, html("h3", {}, spec.title), unit, html("span", { class: "push" }), this.log),
      this.legend, this.plot, this.note);
    new ResizeObserver(() => this.draw()).observe(this.plot);
  }

  isLog() {
    const told = this.view.logs[this.spec.id];
    if (told !== undefined) return told;
    if (this.spec.log !== "auto") return Boolean(this.spec.log);
    const highs = this.spec.series.flatMap(s => s.points.map(p => p.high)).sort((a, b) => a - b);
    return highs[highs.length - 1] > 20 * highs[highs.length >> 1];
  }

  scales() {
    const log = this.isLog(), all = this.spec.series;
    const ys = all.flatMap(s => s.points.flatMap(p => s.band ? [p.low, p.high] : [p.y])).filter(y => !log || y > 0);
    let low = ys.reduce((a, b) => Math.min(a, b), Infinity), high = ys.reduce((a, b) => Math.max(a, b), -Infinity);
    if (this.spec.robust && !log) high = Math.min(high, 4 * ys.toSorted((a, b) => a - b)[Math.floor(ys.length * 0.9)]);
    if (low > high) [low, high] = log ? [0.1, 1] : [0, 1];
    if (this.spec.zero && !log) low = Math.min(0, low);
    if (low === high) [low, high] = log ? [low / 2, high * 2] : [low - (Math.abs(low) * 0.1 || 1), high + (Math.abs(high) * 0.1 || 1)];
    const room = log ? (high / low) ** 0.04 : (high - low) * 0.05;
    [low, high] = log ? [low / room, high * room] : [this.spec.zero && low === 0 ? 0 : low - room, high + room];
    const [from, to] = this.view.range;
    const right = this.width - MARGIN.right, bottom = this.height - MARGIN.bottom;
    const f = log ? Math.log : v => v;
    this.x = x => MARGIN.left + (x - from) / (to - from || 1) * (right - MARGIN.left);
    this.back = px => from + (px - MARGIN.left) / (right - MARGIN.left) * (to - from);
    this.y = y => bottom - (f(Math.max(y, log ? low * 1e-3 : -Infinity)) - f(low)) / (f(high) - f(low)) * (bottom - MARGIN.top);
    return { low, high, from, to, right, bottom, log };
  }

  draw() {
    const box = this.plot.getBoundingClientRect();
    this.width = Math.max(160, box.width);
    this.height = Math.max(100, box.height);
    const s = this.scales(), id = `clip${clips++}`;
    const line = (values, points) => values.map((v, i) => `${i ? "L" : "M"}${this.x(points[i].x).toFixed(1)} ${this.y(v).toFixed(1)}`).join("");
    const frame = svg("g", {}), curves = svg("g", { "clip-path": `url(#${id})` });
    for (const t of s.log ? logTicks(s.low, s.high, 5) : (this.spec.unit === "bytes" ? byteTicks : ticks)(s.low, s.high, this.spec.wide ? 6 : 4)) {
      const y = this.y(t);
      frame.append(svg("line", { class: "grid", x1: MARGIN.left, x2: s.right, y1: y, y2: y }),
        svg("text", { x: MARGIN.left - 6, y: y + 4, "text-anchor": "end" }, shown(t, this.spec.unit)));
    }
    for (const t of ticks(s.from, s.to, Math.min(8, (s.right - MARGIN.left) / 70))) {
      if (this.x(t) < MARGIN.left - 1 || this.x(t) > s.right + 1) continue;
      frame.append(svg("text", { x: Math.min(this.x(t), s.right - 4), y: this.height - 6, "text-anchor": "middle" }, this.view.axisLabel(t)));
    }
    frame.append(svg("line", { class: "grid", x1: MARGIN.left, x2: s.right, y1: s.bottom, y2: s.bottom }));
    for (const one of this.spec.series) {
      const p = one.points, values = p.map(q => q.y), stroke = `var(--c${one.color})`;
      if (p.length === 0) continue;
      if (one.band && p.some(q => q.high > q.low)) {
        const back = p.map((q, i) => `L${this.x(p[p.length - 1 - i].x).toFixed(1)} ${this.y(p[p.length - 1 - i].low).toFixed(1)}`).join("");
        curves.append(svg("path", { class: "band", fill: stroke, d: line(p.map(q => q.high), p) + back + "Z" }));
      }
      one.shown = values;
      if (one.smooth && this.view.smooth > 0 && p.length > 2) {
        one.shown = smoothed(values, this.view.smooth);
        curves.append(svg("path", { class: "raw", stroke, d: line(values, p) }));
      }
      curves.append(svg("path", { class: "line", stroke, "stroke-dasharray": one.dash, d: line(one.shown, p) }));
      if (p.length === 1 || (one.dots && p.length <= 30)) {
        curves.append(...p.map((q, i) => svg("circle", { cx: this.x(q.x), cy: this.y(one.shown[i]), r: 3, fill: stroke })));
      }
    }
    this.over = svg("g", {});
    const area = { x: MARGIN.left - 4, y: 0, width: s.right - MARGIN.left + 8, height: this.height };
    this.plot.setAttribute("viewBox", `0 0 ${this.width} ${this.height}`);
    this.plot.setAttribute("aria-label", this.describe());
    this.plot.replaceChildren(svg("clipPath", { id }, svg("rect", area)), frame, this.events(s), curves, this.over);
    this.show();
  }

  /** Marks of what happened: alerts from above, the rest at the foot. */
  events(s) {
    const marks = svg("g", {});
    let last = -9;
    for (const e of this.spec.events || []) {
      const x = this.x(e.x);
      if (x < MARGIN.left - 1 || x > s.right + 1 || (!e.alert && x - last < 4)) continue;
      last = e.alert ? last : x;
      const y = e.alert ? MARGIN.top : s.bottom;
      marks.append(svg("g", { class: e.alert ? "event alert" : "event", "data-kind": e.kind },
        e.alert ? svg("line", { x1: x, x2: x, y1: y, y2: s.bottom }) : null,
        svg("path", { d: e.alert ? `M${x - 4} ${y - 7}h8l-4 7Z` : `M${x - 4} ${y + 1}h8l-4 -7Z` }),
        svg("title", {}, happened(e))));
    }
    return marks;
  }

  describe() {
    const parts = this.spec.series.filter(s => s.points.length).map(s =>
      `${s.label} from ${shown(s.points[0].y, this.spec.unit)} to ${shown(s.points[s.points.length - 1].y, this.spec.unit)}`);
    return `${this.spec.title}: ${parts.join("; ")}`;
  }

  point(e) {
    const box = this.plot.getBoundingClientRect();
    const [from, to] = this.view.range;
    this.view.moved(Math.min(to, Math.max(from, this.back(e.clientX - box.left))));
  }

  key(e) {
    const [from, to] = this.view.range, now = this.view.cursor ?? to;
    const by = { ArrowLeft: -0.01, ArrowRight: 0.01, Home: -1, End: 1 }[e.key];
    if (e.key === "Escape") this.view.moved(null);
    if (by === undefined) return;
    e.preventDefault();
    this.view.moved(Math.min(to, Math.max(from, now + by * (to - from))));
  }

  /** The values at the cursor, or the last ones. */
  show() {
    const cursor = this.view.cursor, over = [];
    const chips = this.spec.series.filter(s => s.points.length).map(s => {
      const i = cursor === null ? s.points.length - 1 : nearest(s.points, cursor), p = s.points[i];
      if (cursor !== null) over.push(svg("circle", { cx: this.x(p.x), cy: this.y(s.shown[i]), r: 4, fill: `var(--c${s.color})` }));
      const range = s.band && this.spec.series.length < 5 && p.high > p.low ? ` (${shown(p.low, this.spec.unit)} to ${shown(p.high, this.spec.unit)})` : "";
      return html("span", {}, svg("svg", { viewBox: "0 0 18 9", "aria-hidden": "true" },
        svg("line", { x1: 0, x2: 18, y1: 5, y2: 5, stroke: `var(--c${s.color})`, "stroke-width": 3, "stroke-dasharray": s.dash })),
        s.label + " ", html("b", {}, shown(p.y, this.spec.unit)), range);
    });
    this.legend.replaceChildren(...chips);
    if (cursor !== null) {
      const x = this.x(cursor);
      over.unshift(svg("line", { class: "cursor", x1: x, x2: x, y1: MARGIN.top, y2: this.height - MARGIN.bottom }));
      const event = (this.spec.events || []).filter(e => Math.abs(this.x(e.x) - x) < 7)
        .sort((a, b) => b.alert - a.alert || Math.abs(this.x(a.x) - x) - Math.abs(this.x(b.x) - x))[0];
      this.note.textContent = this.view.cursorLabel(cursor) + (event ? ` · ${happened(event)}` : "");
    } else {
      this.note.textContent = "";
    }
    this.over.replaceChildren(...over);
  }
}
