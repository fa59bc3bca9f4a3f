// A figure that is drawn by hand on a canvas. `describe()` says what to draw: {empty: why} or {title, how, label, legend, data,
// table, paint(context, width, height)}; `data()` is what the page exposes, `table()` gives {columns, rows} of text. Both are made only
// when asked for: there are many numbers in a state, and a figure is drawn at each key.

import { colour, FONT, isDark } from "./theme.js";

export class Drawn {
  constructor(figure, describe, { height = 260 } = {}) {
    Object.assign(this, { figure, describe, height });
    this.canvas = document.createElement("canvas");
    figure.plot.append(this.canvas);
    figure.columns = () => this.spec.table();
    new ResizeObserver(() => figure.root.clientWidth !== this.width && this.paint()).observe(figure.root);
  }

  get data() {
    return this.spec?.empty ? { empty: this.spec.empty } : (this.spec?.data() ?? {});
  }

  redraw() {
    const spec = (this.spec = this.describe()), figure = this.figure;
    if (spec.title) figure.retitle(spec.title, spec.how ?? figure.caption.textContent);
    figure.setEmpty(spec.empty);
    if (spec.empty) return;
    figure.label.textContent = spec.label ?? "";
    figure.setLegend((spec.legend ?? []).map((item) => ({ ...item, colour: item.colour.startsWith("#") || item.colour.startsWith("rgb") ? item.colour : colour(item.colour) })));
    figure.setValues((spec.legend ?? []).map((item) => item.value ?? ""));
    this.paint();
    if (!figure.tableBox.hidden) figure.showTable(true);
  }

  paint() {
    if (!this.spec?.paint) return;
    const scale = devicePixelRatio || 1, width = (this.width = this.figure.root.clientWidth), height = this.spec.height ?? this.height;
    if (!width) return;
    this.canvas.width = width * scale;
    this.canvas.height = height * scale;
    this.canvas.style.width = `${width}px`;
    this.canvas.style.height = `${height}px`;
    const context = this.canvas.getContext("2d");
    context.scale(scale, scale);
    context.font = `12px ${FONT}`;
    context.textBaseline = "middle";
    this.spec.paint(context, width, height);
  }

  // What follows the shared cursor of the training steps does not reach these figures.
  follow() {}
  zoomed() {}
}

// From blue through the page's ground to red, for shares from -1 to 1: told apart by every kind of eye, light and dark.
const ENDS = { false: [[178, 24, 43], [33, 102, 172], [255, 255, 255]], true: [[244, 109, 90], [88, 160, 240], [20, 24, 29]] };

export function diverging(share, dark = isDark()) {
  const [red, blue, ground] = ENDS[dark], size = Math.min(1, Math.abs(share)) ** 0.8, end = share > 0 ? red : blue;
  return ground.map((from, k) => Math.round(from + size * (end[k] - from)));
}

export const rgb = (parts) => `rgb(${parts.join(",")})`;

// Round places for the ticks of an axis.
export function ticks(low, high, most) {
  const rough = (high - low) / Math.max(1, most), unit = 10 ** Math.floor(Math.log10(rough)), step = [1, 2, 5, 10].map((k) => k * unit).find((s) => s >= rough * 0.999), places = [];
  for (let at = Math.ceil(low / step - 1e-9) * step; at <= high + 1e-9 * step; at += step) places.push(Math.abs(at) < step / 1e6 ? 0 : at);
  return { places, step };
}
