// Small images side by side, one for each channel of a layer. `describe()` says what to draw:
//   {empty: why} or {title, how, rows, columns, names, value(tile, row, column), range, ramp, chosen, pick(tile), label}
// All tiles have one scale. A click, or the arrow keys, choose one.

import { element } from "./figure.js";
import { cells, ramps } from "./raster.js";
import { colour, FONT } from "./theme.js";
import { number } from "./words.js";

const GAP = 10, NAME = 16, TOP = 26;

export const TILES_HELP = "Left and right choose a channel, up and down go a row";

export class Tiles {
  constructor(figure, describe, { side = 64, say } = {}) {
    Object.assign(this, { figure, describe, side, say });
    this.canvas = element("canvas");
    figure.plot.append(this.canvas);
    figure.columns = () => this.table();
    this.canvas.addEventListener("pointermove", (event) => ((this.over = this.at(event)), figure.setValues([this.readout()])));
    this.canvas.addEventListener("pointerleave", () => ((this.over = null), figure.setValues([this.readout()])));
    this.canvas.addEventListener("click", (event) => this.at(event) != null && this.go(this.at(event)));
    figure.plot.addEventListener("keydown", (event) => {
      const move = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.across, ArrowDown: this.across }[event.key];
      if (!move || !this.spec || this.spec.empty) return;
      event.preventDefault();
      this.go(Math.min(this.spec.names.length - 1, Math.max(0, this.spec.chosen + move)));
      this.say?.(this.readout());
    });
    new ResizeObserver(() => this.spec && !this.spec.empty && figure.root.clientWidth !== this.width && this.paint()).observe(figure.root);
  }

  get data() {
    if (!this.spec || this.spec.empty) return { empty: this.spec?.empty ?? "" };
    return { names: [...this.spec.names], tiles: this.spec.names.map((_, k) => this.rowsOf(k)), chosen: this.spec.chosen, range: [...this.spec.range] };
  }

  rowsOf(k) {
    const { rows, columns, value } = this.spec;
    return Array.from({ length: rows }, (_, r) => Array.from({ length: columns }, (_, c) => value(k, r, c)));
  }

  go(k) {
    this.spec.pick?.(k);
  }

  redraw() {
    const spec = (this.spec = this.describe()), figure = this.figure;
    if (spec.title) figure.retitle(spec.title, spec.how);
    figure.setEmpty(spec.empty);
    if (spec.empty) return;
    figure.label.textContent = spec.label ?? "";
    figure.setLegend([{ name: "chosen", colour: colour("s1"), kind: "area" }]);
    this.images = spec.names.map((_, k) => cells({ ...spec, value: (c, r) => spec.value(k, r, c) }));
    this.paint();
    figure.setValues([this.readout()]);
    if (!figure.tableBox.hidden) figure.showTable(true);
  }

  paint() {
    const { spec, figure } = this, width = (this.width = figure.root.clientWidth), scale = devicePixelRatio || 1;
    if (!width) return;
    // A tile keeps the shape of what it shows; a very long one is pressed together.
    const shape = Math.min(4, Math.max(0.25, spec.columns / spec.rows));
    this.high = Math.round(shape > 1 ? this.side / Math.sqrt(shape) : this.side * Math.min(1.6, 1 / Math.sqrt(shape)));
    this.wide = Math.round(this.high * shape);
    this.across = Math.max(1, Math.min(spec.names.length, Math.floor((width + GAP) / (this.wide + GAP))));
    const height = TOP + Math.ceil(spec.names.length / this.across) * (this.high + NAME + GAP);
    Object.assign(this.canvas, { width: width * scale, height: height * scale });
    Object.assign(this.canvas.style, { width: `${width}px`, height: `${height}px` });
    const c = this.canvas.getContext("2d");
    c.scale(scale, scale);
    c.font = `12px ${FONT}`;
    c.imageSmoothingEnabled = false;
    scaleBar(c, spec, width);
    this.images.forEach((image, k) => {
      const [x, y] = this.place(k);
      c.drawImage(image, x, y, this.wide, this.high);
      c.strokeStyle = colour(k === spec.chosen ? "s1" : "grid");
      c.lineWidth = k === spec.chosen ? 3 : 1;
      c.strokeRect(x - 0.5, y - 0.5, this.wide + 1, this.high + 1);
      c.fillStyle = colour(k === spec.chosen ? "s1" : "muted");
      c.textAlign = "center";
      c.textBaseline = "top";
      c.fillText(spec.names[k], x + this.wide / 2, y + this.high + 4);
    });
  }

  place(k) {
    return [2 + (k % this.across) * (this.wide + GAP), TOP + Math.floor(k / this.across) * (this.high + NAME + GAP)];
  }

  at({ offsetX, offsetY }) {
    if (!this.spec || this.spec.empty) return null;
    const column = Math.floor((offsetX - 2) / (this.wide + GAP)), row = Math.floor((offsetY - TOP) / (this.high + NAME + GAP)), k = row * this.across + column;
    return column >= 0 && column < this.across && row >= 0 && k < this.spec.names.length ? k : null;
  }

  readout() {
    if (!this.spec || this.spec.empty) return "";
    const k = this.over ?? this.spec.chosen, all = this.rowsOf(k).flat();
    return `${this.spec.names[k]}: from ${number(Math.min(...all))} to ${number(Math.max(...all))}`;
  }

  table() {
    return {
      columns: ["channel", "lowest", "mean", "highest"],
      rows: this.spec.names.map((name, k) => {
        const all = this.rowsOf(k).flat();
        return [name, number(Math.min(...all)), number(all.reduce((a, b) => a + b, 0) / all.length), number(Math.max(...all))];
      }),
    };
  }
}

// What the colours stand for, at the right of the top.
export function scaleBar(c, { range, ends = range.map((v) => number(v, 2)), ramp }, right, top = 2) {
  const long = 100, left = right - long - 44;
  for (let k = 0; k < long; k++) {
    c.fillStyle = `rgb(${ramps[ramp](k / (long - 1)).join(",")})`;
    c.fillRect(left + k, top, 1.5, 9);
  }
  c.fillStyle = colour("muted");
  c.textBaseline = "middle";
  c.textAlign = "right";
  c.fillText(ends[0], left - 6, top + 5);
  c.textAlign = "left";
  c.fillText(ends[1], left + long + 6, top + 5);
}
