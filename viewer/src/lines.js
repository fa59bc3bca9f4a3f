// A figure of lines (uPlot). `describe(state)` says what to draw:
//   {empty: why} or {title, how, yLabel, xLabel, log, series, bands, rules, uprights, shade, ticks, yRange, least, names, xNames,
//   xSpace, own, onPick}
// A series is {name, x, y, colour, width, dash, alpha, kind: "line" | "dot" | "area" | "bar" | "step", drawn, on}; `drawn` stands in for y where
// areas lie on one another. A band {low, high, colour, alpha} fills what is between two series; a rule is {y, name, colour}, an upright
// {x, name}, a tick {x, colour}; `shade()` gives the ends of a span that is marked, or null. `onPick(x)` answers a click and Enter. Logarithms are taken here: uPlot's axes stay plain.
// `own`: x is not the shared one, so that the cursor and the zoom of the others do not reach this figure. A view that `clicks` moves
// its cursor where one clicks, not where the mouse passes.

import uPlot from "uplot";
import { onStepKeys, zoomTo } from "./keys.js";
import { nearest } from "./record.js";
import { colour, faded, FONT } from "./theme.js";
import { onTouch } from "./touch.js";
import { inSteps, logName, logPlaces, number } from "./words.js";

export class Lines {
  constructor(figure, view, describe, { height = 220, say, onToggle } = {}) {
    Object.assign(this, { figure, view, describe, height, say, onToggle });
    figure.columns = () => this.table();
    figure.plot.addEventListener("keydown", (event) => (this.spec?.empty ? null : this.spec?.own ? this.ownKeys(event) : onStepKeys(view, () => this.places, () => this.speak())(event)));
    onTouch(figure.plot, view, {
      stepAt: (x) => (this.plot && !this.spec.own ? this.plot.posToVal(x - (this.plot.over.getBoundingClientRect().left - figure.plot.getBoundingClientRect().left), "x") : NaN),
      places: () => this.places ?? [],
    });
    new ResizeObserver(() => this.resize()).observe(figure.root);
  }

  get data() {
    if (!this.spec || this.spec.empty) return { empty: this.spec?.empty ?? "" };
    return Object.fromEntries(this.spec.series.map((s) => [s.name, { x: [...s.x], y: [...s.y] }]));
  }

  redraw() {
    const spec = (this.spec = this.describe(this.view.state)), figure = this.figure;
    this.plot?.destroy();
    this.plot = null;
    if (spec.title) figure.retitle(spec.title, spec.how ?? figure.caption.textContent);
    figure.setEmpty(spec.empty);
    if (spec.empty) return;
    figure.label.textContent = spec.yLabel + (spec.log ? ", logarithmic" : "");
    const legend = spec.series.filter((s) => !s.quiet);
    figure.setLegend([...legend, ...(spec.rules ?? []).filter((r) => r.name).map((r) => ({ ...r, colour: colour(r.colour ?? "muted"), dash: true }))].map((s) => ({ ...s, colour: s.colour.startsWith("#") || s.colour.startsWith("rgb") ? s.colour : colour(s.colour) })), this.onToggle);
    this.places = [...new Set(spec.series.flatMap((s) => s.x))].sort((a, b) => a - b);
    this.build();
    this.follow();
    queueMicrotask(() => this.follow()); // uPlot knows the places of its values only when it has drawn, a moment later
    if (!figure.tableBox.hidden) figure.showTable(true);
  }

  build() {
    const { spec, figure } = this, muted = colour("muted"), grid = colour("grid"), width = figure.root.clientWidth;
    if (!width) return;
    const level = (v) => (v == null ? null : spec.log ? (v > 0 ? Math.log10(v) : null) : v);
    const shown = spec.series.filter((s) => s.on !== false);
    const data = uPlot.join(shown.length ? shown.map((s) => [s.x, (s.drawn ?? s.y).map(level)]) : [[this.places, this.places.map(() => null)]]);
    const rules = (spec.rules ?? []).map((r) => ({ ...r, at: level(r.y) })).filter((r) => r.at != null);
    const options = {
      width,
      height: this.height,
      padding: [8, 12, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: !spec.own, y: false, setScale: false }, points: { size: 7 } },
      scales: {
        x: { time: false, range: (u, low, high) => (spec.own ? spread(low, high, 0.5) : (this.view.state.range ?? this.view.state.whole)) },
        y: { range: (u, low, high) => spec.yRange ?? this.yRange(rules, low, high) },
      },
      axes: [
        { stroke: muted, font: `12px ${FONT}`, grid: { show: false }, ticks: { stroke: grid, size: 4 }, size: 28, gap: 4, label: spec.xLabel ?? "training step", labelFont: `12px ${FONT}`, labelSize: 18, labelGap: 0, space: spec.xSpace ?? 64, incrs: WHOLE, values: (u, at) => at.map((v) => (spec.xNames ?? number)(v)) },
        {
          stroke: muted, font: `12px ${FONT}`, grid: { stroke: grid, width: 1 }, ticks: { show: false }, size: 52, gap: 6, space: 30, incrs: ROUND,
          ...(spec.log ? { splits: (u, axis, low, high) => logPlaces(low, high) } : {}),
          values: (u, at, axis, space, step) => at.map((v) => (spec.names ? spec.names(v) : spec.log ? logName(v) : inSteps(v, step))),
        },
      ],
      series: [{}, ...shown.map((s) => drawn(s))],
      bands: (spec.bands ?? []).map((band) => ({ series: [band.high, band.low].map((name) => 1 + shown.findIndex((s) => s.name === name)), fill: faded(colour(band.colour), band.alpha ?? 0.17) })),
      hooks: { draw: [(u) => this.overlay(u, rules)], setSelect: [(u) => this.brushed(u)] },
    };
    figure.plot.replaceChildren();
    this.plot = new uPlot(options, data, figure.plot);
    this.plot.over.addEventListener("mousemove", (event) => this.hovered(this.plot, event.offsetX));
    this.plot.over.addEventListener("click", (event) => this.clicked(this.plot, event.offsetX));
    this.plot.over.addEventListener("mouseleave", () => requestAnimationFrame(() => this.follow()));
  }

  yRange(rules, low, high) {
    const at = [low, high, ...rules.map((r) => r.at)].filter((v) => v != null && Number.isFinite(v));
    if (!at.length) return [0, 1];
    let [a, b] = [Math.min(...at), Math.max(...at)];
    if (this.spec.log) return spread(a, b, 0.15);
    if (b - a < (this.spec.least ?? 0)) [a, b] = [(a + b - this.spec.least) / 2, (a + b + this.spec.least) / 2];
    const air = 0.06 * (b - a) || 0.1 * Math.abs(b) || 0.5;
    return [a >= 0 && a - air < 0.25 * (b - a) ? 0 : a - air, b + air];
  }

  overlay(u, rules) {
    const { ctx, bbox } = u, dpr = devicePixelRatio || 1;
    ctx.save();
    for (const rule of rules) {
      const y = Math.round(u.valToPos(rule.at, "y", true));
      if (y < bbox.top || y > bbox.top + bbox.height) continue;
      ctx.strokeStyle = colour(rule.colour ?? "muted");
      ctx.lineWidth = 1.5 * dpr;
      ctx.setLineDash([4 * dpr, 4 * dpr]);
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
    }
    for (const upright of this.spec.uprights ?? []) {
      const x = Math.round(u.valToPos(upright.x, "x", true));
      ctx.strokeStyle = colour("muted");
      ctx.setLineDash([4 * dpr, 4 * dpr]);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      ctx.fillStyle = colour("muted");
      ctx.font = `${12 * dpr}px ${FONT}`;
      ctx.textBaseline = "top";
      const wide = ctx.measureText(upright.name).width, left = x - bbox.left > wide + 12 * dpr;
      ctx.textAlign = left ? "right" : "left";
      ctx.fillText(upright.name, x + (left ? -6 : 6) * dpr, bbox.top + 2 * dpr);
    }
    ctx.setLineDash([]);
    const span = this.spec.shade?.();
    if (span) {
      const [from, to] = [span[0] - 0.5, span[1] + 0.5].map((at) => u.valToPos(at, "x", true));
      ctx.fillStyle = faded(colour("s1"), 0.14);
      ctx.fillRect(from, bbox.top, to - from, bbox.height);
    }
    for (const tick of this.spec.ticks ?? []) {
      const x = u.valToPos(tick.x, "x", true);
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.fillStyle = colour(tick.colour);
      ctx.fillRect(x - dpr / 2, bbox.top + bbox.height - 8 * dpr, Math.max(1, dpr), 8 * dpr);
    }
    ctx.restore();
  }

  hovered(u, left) {
    const x = u.data[0][nearest(u.data[0], u.posToVal(left, "x"))];
    if (this.spec.own) this.showValues((this.ownX = x));
    else if (this.view.clicks) this.showValues(x);
    else this.view.set({ step: x });
  }

  clicked(u, left) {
    const x = u.data[0][nearest(u.data[0], u.posToVal(left, "x"))];
    if (this.spec.onPick) this.spec.onPick(x);
    else if (this.view.clicks && !this.spec.own) this.view.set({ step: x });
  }

  brushed(u) {
    const { left, width } = u.select;
    if (width > 6) zoomTo(this.view, u.posToVal(left, "x"), u.posToVal(left + width, "x"));
    if (width) u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
  }

  ownKeys(event) {
    if (event.key === "Enter" && this.spec.onPick && this.ownX != null) return this.spec.onPick(this.ownX);
    const move = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (!move) return;
    event.preventDefault();
    const here = this.ownX == null ? -1 : nearest(this.places, this.ownX);
    this.ownX = this.places[Math.min(this.places.length - 1, Math.max(0, here + move))];
    this.follow();
    this.speak();
  }

  // Put the cursor where the view has it, and the values there beside the names.
  follow() {
    if (!this.spec || this.spec.empty) return;
    const x = this.spec.own ? this.ownX : this.view.state.step;
    if (this.plot) {
      const left = x == null ? -10 : this.plot.valToPos(x, "x");
      const inside = left >= 0 && left <= this.plot.over.clientWidth;
      if (this.spec.shade) this.plot.redraw(false);
      this.plot.setCursor({ left: inside ? left : -10, top: inside ? 1 : -10 });
    }
    this.showValues(x);
  }

  showValues(x) {
    this.figure.setValues(this.spec.series.filter((s) => !s.quiet).map((s) => {
      if (x == null || !s.x.length) return "";
      const at = nearest(s.x, x);
      return (this.spec.format ?? number)(s.y[at]);
    }));
  }

  speak() {
    const x = this.spec.own ? this.ownX : this.view.state.step;
    const values = this.spec.series.filter((s) => !s.quiet && s.x.length).map((s) => `${s.name} ${(this.spec.format ?? number)(s.y[nearest(s.x, x)])}`);
    this.say?.(`${this.spec.xLabel ?? "training step"} ${(this.spec.xNames ?? number)(x)}: ${values.join(", ")}`);
  }

  zoomed() {
    if (!this.plot || this.spec.own) return;
    const [min, max] = this.view.state.range ?? this.view.state.whole;
    this.plot.batch(() => this.plot.setScale("x", { min, max })); // at once, so that the cursor finds its new place
    this.follow();
  }

  resize() {
    const width = this.figure.root.clientWidth;
    if (!this.spec || this.spec.empty || !width || this.plot?.width === width) return;
    if (this.plot) this.plot.setSize({ width, height: this.height });
    else this.build();
    this.follow();
  }

  table() {
    const series = this.spec.series.filter((s) => !s.quiet), rows = new Map(this.places.map((x) => [x, series.map(() => "–")]));
    series.forEach((s, column) => s.x.forEach((x, index) => (rows.get(x)[column] = (this.spec.format ?? number)(s.y[index]))));
    return { columns: [this.spec.xLabel ?? "training step", ...series.map((s) => s.name)], rows: [...rows].map(([x, cells]) => [(this.spec.xNames ?? number)(x), ...cells]) };
  }
}

// Ticks stand at 1, 2 and 5 times powers of ten: whole ones for steps.
const ROUND = Array.from({ length: 30 }, (_, e) => [1, 2, 5].map((digit) => Number(`${digit}e${e - 15}`))).flat();
const WHOLE = Array.from({ length: 10 }, (_, e) => [1, 2, 5].map((digit) => digit * 10 ** e)).flat();

const spread = (low, high, least) => {
  const air = Math.max(0.04 * (high - low), (least - (high - low)) / 2, 0);
  return [low - air, high + air];
};

function drawn(s) {
  const paint = s.colour.startsWith("#") || s.colour.startsWith("rgb") ? s.colour : colour(s.colour);
  if (s.kind === "dot") return { stroke: paint, paths: () => null, points: { show: true, size: s.size ?? 6, fill: paint, stroke: paint } };
  if (s.kind === "bar") return { stroke: paint, fill: paint, width: 0, paths: uPlot.paths.bars({ size: [0.7, 60] }), points: { show: false } };
  if (s.kind === "step") return { stroke: paint, width: 2, fill: faded(paint, 0.2), paths: uPlot.paths.stepped({ align: 1 }), points: { show: false } };
  if (s.kind === "area") return { stroke: paint, width: 0, fill: paint, points: { show: false } };
  return { stroke: paint, alpha: s.alpha ?? 1, width: s.width ?? 1.75, dash: s.dash, points: { show: s.x.length === 1, size: 6, fill: paint } };
}
