// The page: what the data say of one run, or of several over each other.

const data = JSON.parse(document.getElementById("data").textContent);
const several = data.runs.length > 1;
const root = document.documentElement;

/** What is chosen on the page; it outlives a reload where the browser lets it. */
const STORE = "javelin-report";
const chosen = { smooth: 0.6, axis: "step", theme: "auto", logs: {} };
try {
  Object.assign(chosen, JSON.parse(localStorage.getItem(STORE) || "{}"));
} catch { /* without memory, then */ }
function remember() {
  try {
    localStorage.setItem(STORE, JSON.stringify(chosen));
  } catch { /* see above */ }
}

const night = matchMedia("(prefers-color-scheme: dark)");
function paint() {
  root.dataset.theme = chosen.theme === "auto" ? (night.matches ? "dark" : "light") : chosen.theme;
}
night.addEventListener("change", paint);
paint();

/** Kinds of events that are nothing to worry about. */
const QUIET = new Set(["checkpoint", "resume", "stop", "best", "inject"]);

/** What has a chart, in this order; other keys follow. A prefix gathers keys of the form prefix/name. */
const CHARTS = [
  { id: "loss", title: "Loss", unit: "nats", keys: { loss: "training", eval_loss: "validation", ema_eval_loss: "validation, averaged weights" }, wide: true, smooth: true },
  { id: "grad_norm", title: "Gradient norm", keys: { grad_norm: "before clipping" }, smooth: true, log: "auto" },
  { id: "lr", title: "Learning rate", keys: { lr: "learning rate" } },
  { id: "noise_scale", title: "Gradient noise scale", unit: "sequences", keys: { noise_scale: "noise scale" }, log: true },
  { id: "update_ratio", title: "Update over weight", prefix: "update_ratio", log: true },
  { id: "tokens_per_second", title: "Throughput", unit: "tokens/s", keys: { tokens_per_second: "throughput" }, smooth: true, zero: true },
  { id: "step_ms", title: "Time of a step", unit: "ms", keys: { step_ms: "step" }, smooth: true, zero: true, robust: true },
  { id: "memory", title: "Memory", unit: "bytes", prefix: "memory", zero: true },
  { id: "loss_scale", title: "Loss scale", keys: { loss_scale: "loss scale" }, log: true, varies: true },
  { id: "critical_batch", title: "Critical batch", unit: "tokens", keys: { critical_batch: "critical batch" }, log: true },
  { id: "z", title: "Robust z-score", keys: { loss_z: "loss", grad_norm_z: "gradient norm" } },
  { id: "dead_layers", title: "Layers that do not move", keys: { dead_layers: "layers" }, zero: true, varies: true },
  { id: "spikes", title: "Spikes so far", keys: { spikes: "spikes" }, zero: true, varies: true },
  { id: "skipped", title: "Steps skipped", keys: { skipped: "skipped" }, zero: true, varies: true },
];
const NAMES = { memory_rss: "process", memory_heap: "Java heap", memory_device: "device" };
const HIDDEN = new Set(["tokens"]);
const DASHES = [null, "7 4", "2 3", "9 3 2 3", "5 2", "1 4", "12 4", "4 4"];

const runs = data.runs.map((run, index) => {
  const curves = Object.fromEntries(Object.entries(run.curves).map(([key, curve]) => [key, points(curve)]));
  return { ...run, index, curves, tokens: integral(curves.tokens, true), seconds: integral(curves.step_ms, false) };
});

/** What has come together by a step: values that stand there, or milliseconds a step. */
function integral(list, standing) {
  const sums = [{ x: 0, sum: 0 }];
  for (const p of list || []) {
    const last = sums[sums.length - 1];
    sums.push({ x: p.step, sum: standing ? p.y : last.sum + p.y / 1000 * (p.step - last.x) });
  }
  return step => {
    let i = nearest(sums, step);
    if (sums[i].x < step && i + 1 < sums.length) i++;
    const [a, b] = [sums[Math.max(0, i - 1)], sums[i]];
    return b.x === a.x ? b.sum : a.sum + (b.sum - a.sum) * (step - a.x) / (b.x - a.x);
  };
}

const AXES = {
  step: { name: "steps", of: (run, step) => step, label: x => shown(x), at: x => `step ${whole(x)}` },
  tokens: { name: "tokens", of: (run, step) => run.tokens(step), label: x => shown(x), at: x => `${shown(x)} tokens` },
  time: { name: "hours", of: (run, step) => run.seconds(step) / 3600, label: x => shown(x), at: x => duration(x * 3600) },
};
if (!AXES[chosen.axis]) chosen.axis = "step";

const view = {
  logs: chosen.logs, smooth: chosen.smooth, cursor: null, range: [0, 1], charts: [],
  axisLabel: x => AXES[chosen.axis].label(x),
  cursorLabel: x => AXES[chosen.axis].at(x),
  changed: remember,
  moved(x) {
    view.cursor = x;
    view.touched = Date.now();
    if (!view.pending) {
      view.pending = true;
      requestAnimationFrame(() => {
        view.pending = false;
        view.charts.forEach(chart => chart.show());
      });
    }
  },
};

/** The series of a chart: of one run the keys in colours, of several the runs. */
function series(spec) {
  const all = [];
  runs.forEach(run => {
    const keys = spec.prefix
      ? Object.keys(run.curves).filter(k => k.startsWith(spec.prefix + "/") || k.startsWith(spec.prefix + "_") || k === spec.prefix)
      : Object.keys(spec.keys).filter(k => run.curves[k]);
    keys.forEach((key, n) => {
      const name = NAMES[key] || (spec.prefix ? key.slice(spec.prefix.length + 1) || key : spec.keys[key]);
      if (spec.varies && run.curves[key].every(p => p.low === p.high && p.y === run.curves[key][0].y)) return;
      all.push({
        key, label: several ? (keys.length > 1 ? `${run.name}, ${name}` : run.name) : name,
        color: (several ? run.index : n) % 8, dash: DASHES[several ? n % 8 : Math.floor(n / 8) % 8],
        points: run.curves[key].map(p => ({ ...p, x: AXES[chosen.axis].of(run, p.step) })),
        smooth: spec.smooth && !key.endsWith("eval_loss"), dots: key.endsWith("eval_loss"), band: !several,
      });
    });
  });
  return all;
}

function specs() {
  const taken = new Set(HIDDEN), all = CHARTS.map(spec => ({ ...spec, series: series(spec) }));
  all.forEach(spec => {
    Object.keys(spec.keys || {}).forEach(k => taken.add(k));
    spec.series.forEach(s => taken.add(s.key));
  });
  const rest = new Map(); // what has a slash belongs together
  for (const run of runs) {
    for (const key of Object.keys(run.curves)) {
      if (!taken.has(key)) rest.set(key.split("/")[0], key.includes("/"));
    }
  }
  for (const [id, group] of rest) {
    const words = id.replaceAll("_", " ");
    const spec = { id, title: words[0].toUpperCase() + words.slice(1), smooth: true, ...(group ? { prefix: id } : { keys: { [id]: words } }) };
    all.push({ ...spec, series: series(spec).filter(s => !taken.has(s.key)) });
  }
  const events = several ? [] : runs[0].events.map(([step, kind, text]) => ({ step, kind, text, alert: !QUIET.has(kind), x: AXES[chosen.axis].of(runs[0], step) }));
  return all.filter(spec => spec.series.some(s => s.points.length)).map(spec => ({ ...spec, events }));
}

function drawAll() {
  const all = specs();
  const last = Math.max(0, ...all.flatMap(s => s.series.flatMap(one => one.points.map(p => p.x))));
  view.range = [0, last || 1];
  view.cursor = null;
  if (view.charts.length) {
    view.charts.forEach(chart => {
      chart.spec = all.find(s => s.id === chart.spec.id);
      chart.draw();
    });
    return;
  }
  view.charts = all.map(spec => new Chart(spec, view));
  document.getElementById("charts").replaceChildren(...view.charts.map(c => c.card));
}

// The head: how it stands.

const lastOf = (run, key) => run.curves[key] ? run.curves[key][run.curves[key].length - 1].y : NaN;
function best(run) {
  return (run.curves.eval_loss || []).reduce((a, p) => p.low < a.low ? p : a, { low: NaN, step: 0, y: NaN, ...(run.curves.eval_loss || [])[0] });
}
function mean(run, key) {
  const list = (run.curves[key] || []).slice(1).map(p => p.y);
  return list.length ? list.reduce((a, b) => a + b, 0) / list.length : lastOf(run, key);
}
function tile(name, value, more) {
  return html("div", { class: "tile" }, html("span", {}, name), html("b", {}, value), more ? html("span", {}, more) : null);
}

function head() {
  const run = runs[0], ago = Math.max(0, (Date.now() - data.written) / 1000);
  const theme = html("button", { type: "button", id: "theme", title: "Colours: as the system, light, dark", onclick: () => {
    const order = ["auto", "light", "dark"];
    chosen.theme = order[(order.indexOf(chosen.theme) + 1) % 3];
    theme.textContent = `theme: ${chosen.theme}`;
    remember();
    paint();
  } }, `theme: ${chosen.theme}`);
  const parts = [html("div", { class: "row" },
    html("h1", {}, several ? `${runs.length} runs` : run.name),
    several ? null : html("span", { class: "faint" }, (run.settings.find(([key]) => key === "model") || ["", ""])[1]),
    several ? null : html("span", { class: `chip ${run.state}` }, run.state),
    ...alerts(), html("span", { class: "push" }), theme)];
  if (!several) {
    const share = run.steps ? Math.min(1, run.step / run.steps) : 0, low = best(run);
    document.title = `${run.state === "running" ? `${Math.floor(share * 100)} % ` : ""}${run.name} · loss ${shown(lastOf(run, "loss"))}`;
    if (run.steps) parts.push(html("div", { class: "bar", title: `${Math.floor(share * 100)} %` }, html("i", { style: `width:${share * 100}%` })));
    const left = run.state === "running" && run.steps ? `${duration((run.steps - run.step) * lastOf(run, "step_ms") / 1000)} to go` : null;
    parts.push(html("div", { class: "tiles" },
      tile("step", whole(run.step), run.steps ? `of ${whole(run.steps)}` : null),
      tile("loss", shown(lastOf(run, "loss"))),
      run.curves.eval_loss ? tile("best validation", shown(low.low), `at step ${whole(low.step)}`) : null,
      run.curves.tokens ? tile("tokens", shown(run.tokens(run.step))) : null,
      tile("throughput", shown(mean(run, "tokens_per_second")), "tokens/s"),
      tile("time", duration(run.seconds(run.step)), left),
      run.curves.memory_rss ? tile("memory", shown(lastOf(run, "memory_rss"), "bytes")) : null));
    if (run.state === "running") parts.push(html("div", { class: "faint" }, ago > 600 ? `no news for ${duration(ago)}: the run may have died` : "this page follows the run"));
  } else {
    document.title = runs.map(r => r.name).join(" · ");
  }
  document.getElementById("head").replaceChildren(...parts);
}

function alerts() {
  return several ? [] : Object.entries(runs[0].counts).filter(([kind]) => !QUIET.has(kind))
    .map(([kind, count]) => html("span", { class: "chip alert" }, `${whole(count)} × ${kind}`));
}

function controls() {
  const value = html("span", {}, `${Math.round(chosen.smooth * 100)} %`);
  const slider = html("input", { type: "range", id: "smooth", min: 0, max: 0.98, step: 0.02, value: chosen.smooth, oninput: () => {
    chosen.smooth = view.smooth = Number(slider.value);
    value.textContent = `${Math.round(chosen.smooth * 100)} %`;
    view.touched = Date.now();
    remember();
    view.charts.forEach(chart => chart.draw());
  } });
  const axis = html("select", { id: "axis", onchange: () => {
    chosen.axis = axis.value;
    remember();
    drawAll();
  } }, ...Object.entries(AXES).map(([key, a]) => html("option", { value: key, selected: key === chosen.axis }, a.name)));
  return html("div", { class: "row controls" }, html("label", {}, "smoothing", slider, value), html("label", {}, "over", axis));
}

// Tables and texts.

function table(names, rows) {
  return html("div", { class: "scroll" }, html("table", {},
    names ? html("thead", {}, html("tr", {}, ...names.map(n => html("th", { scope: "col" }, n)))) : null,
    html("tbody", {}, ...rows)));
}
const cell = (value, kind) => html("td", { class: kind || null }, value);

function samples() {
  const list = runs.flatMap(run => run.samples.map(s => [run, ...s])).sort((a, b) => b[1] - a[1]);
  return list.length === 0 ? [] : [html("h2", {}, "Samples of text"), ...list.map(([run, step, prompt, text], i) =>
    html("details", { open: i < (several ? runs.length : 2) },
      html("summary", {}, `${several ? run.name + ", " : ""}step ${whole(step)}`),
      html("p", { class: "text" }, prompt ? html("mark", {}, prompt) : null, text)))];
}

/** What each layer did when it was last looked at, and how m/√v was spread. */
function layers() {
  const look = several ? {} : runs[0].layers, list = look.names || [];
  if (list.length === 0) return [];
  const ratios = look.update_ratio.filter(r => r > 0), top = Math.max(...ratios), low = Math.max(top * 1e-4, Math.min(...ratios));
  const width = ratio => ratio > 0 ? (top > low ? Math.max(2, 100 * Math.log(ratio / low) / Math.log(top / low)) : 100) : 0;
  const share = (key, i) => cell(look[key][i] ? `${shown(100 * look[key][i])} %` : "–", "number");
  const rows = list.map((name, i) => html("tr", {}, cell(name), cell(shown(look.update_ratio[i] ?? NaN), "number"),
    html("td", { class: "gauge" }, html("i", { style: `width:${width(look.update_ratio[i])}%` })),
    cell(look.still[i] ? `${whole(look.still[i])} steps` : "–", "number"), share("zero_gradient", i), share("underflow", i)));
  return [html("h2", {}, "Layers"), ...spread(look.ratios), html("details", { open: list.length <= 12 },
    html("summary", {}, `${list.length} layers at step ${whole(look.step)}`),
    table(["layer", "update / weight", "", "has not moved", "gradient zero", "underflow"], rows))];
}

/** Bins of powers of two: below 2^-16, then each of them, then what is above. */
function spread(bins) {
  const all = bins.reduce((a, b) => a + b, 0), most = Math.max(...bins);
  if (!(all > 0)) return [];
  const name = i => i === 0 ? "below 2^-16" : i === bins.length - 1 ? `from 2^${i - 17} on` : `2^${i - 17} to 2^${i - 16}`;
  return [html("div", { class: "card spread" }, html("h3", {}, "m/√v of the optimizer, share of the values by powers of two"),
    html("div", { class: "bins", role: "img", "aria-label": `most are ${name(bins.indexOf(most))}` }, ...bins.map((b, i) =>
      html("div", { title: `${name(i)}: ${shown(100 * b / all)} %` }, html("i", { style: `height:${80 * b / most}px` }), i % 4 === 1 ? `2^${i - 17}` : "\u00a0"))))];
}

function eventList() {
  const list = several ? [] : runs[0].events.filter(([, kind]) => kind !== "checkpoint").slice().reverse();
  return list.length === 0 ? [] : [html("h2", {}, "Events"), html("details", { open: list.length < 12 },
    html("summary", {}, `${list.length} of ${whole(Object.values(runs[0].counts).reduce((a, b) => a + b, 0))}, checkpoints left out`),
    table(["step", "kind", "what"], list.map(([step, kind, text]) => html("tr", {}, cell(whole(step), "number"), cell(kind), cell(text)))))];
}

function settings() {
  if (several) {
    const told = runs.map(run => new Map(run.settings));
    const keys = [...new Set(runs.flatMap(run => run.settings.map(([key]) => key)))]
      .filter(key => key !== "output_dir" && new Set(told.map(t => t.get(key))).size > 1);
    return [html("h2", {}, "Settings that differ"), keys.length === 0 ? html("p", { class: "faint" }, "none") :
      table(["setting", ...runs.map(r => r.name)], keys.map(key => html("tr", {}, cell(key), ...told.map(t => cell(t.get(key) ?? "–")))))];
  }
  const list = runs[0].settings;
  return list.length === 0 ? [] : [html("h2", {}, "Settings"), html("details", {},
    html("summary", {}, `${list.length}, of which ${list.filter(([, , standard]) => !standard).length} are not the default (bold)`),
    table(null, list.map(([key, value, standard]) => html("tr", {}, cell(key, standard ? null : "own"), cell(value, standard ? null : "own")))))];
}

function finals() {
  if (!several) return [];
  const rows = runs.map(run => {
    const low = best(run);
    return html("tr", {},
      html("td", {}, svg("svg", { width: 18, height: 9, "aria-hidden": "true" }, svg("line", { x2: 18, y1: 5, y2: 5, stroke: `var(--c${run.index % 8})`, "stroke-width": 3 })), " ", run.name),
      cell(run.state), cell(whole(run.step), "number"), cell(shown(run.tokens(run.step)), "number"), cell(duration(run.seconds(run.step)), "number"),
      cell(shown(lastOf(run, "loss")), "number"), cell(shown(low.low), "number"), cell(low.step ? whole(low.step) : "–", "number"),
      cell(shown(lastOf(run, "eval_loss")), "number"), cell(shown(mean(run, "tokens_per_second")), "number"));
  });
  return [html("h2", {}, "Results"), table(["run", "state", "steps", "tokens", "time", "last loss", "best validation", "at step", "last validation", "tokens/s"], rows)];
}

head();
document.getElementById("main").append(controls(), html("div", { class: "charts", id: "charts" }),
  ...finals(), ...samples(), ...eventList(), ...layers(), ...settings());
document.getElementById("foot").textContent = `written by Javelin on ${new Date(data.written).toLocaleString()}`;
drawAll();

// A run that goes on: look again, but never under the reader's hands.
if (data.refresh > 0) {
  const quiet = 4000;
  const again = () => {
    const busy = document.hidden || Date.now() - (view.touched || 0) < quiet || String(getSelection()) !== "";
    if (busy) setTimeout(again, 1000);
    else location.reload();
  };
  addEventListener("pointerdown", () => { view.touched = Date.now(); });
  addEventListener("scroll", () => { view.touched = Date.now(); }, { passive: true });
  setTimeout(again, Date.now() - data.written > 600000 ? 60000 : data.refresh);
}
