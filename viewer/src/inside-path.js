// S12, the path of the whole state: h along the two directions in which it varies most, time as colour.

import { element } from "./figure.js";
import { part, uprights } from "./inside-data.js";
import { onStepKeys } from "./keys.js";
import { colour, FONT, inferno } from "./theme.js";
import { number } from "./words.js";

const LEFT = 46, RIGHT = 14, TOP = 26, BOTTOM = 40, HEIGHT = 340;

export function pathPanel(room) {
  // Beside the lines of the units, which stand alone where there is an even number of rasters.
  const rasters = 1 + room.seen.layers.some((l) => l.has_c) + new Set(room.seen.layers.flatMap((l) => l.gates)).size;
  const figure = room.figure("inside-path", { size: rasters % 2 ? "whole" : "half" });
  return [room.add("inside-path", new Path(figure, room), [])];
}

class Path {
  constructor(figure, room) {
    Object.assign(this, { figure, room });
    this.canvas = element("canvas");
    figure.plot.append(this.canvas);
    figure.columns = () => this.table();
    const steps = { get state() { return { step: room.view.state.t, range: null, whole: [0, room.seen.steps - 1] }; }, set: ({ step, range }) => (step != null ? room.view.set({ t: step }) : range === null && room.view.set({ span: null })) }; // prettier-ignore
    figure.plot.addEventListener("keydown", onStepKeys(steps, () => this.own.map((_, t) => t), () => room.say(this.readout())));
    this.canvas.addEventListener("pointermove", (event) => this.hover(event));
    this.canvas.addEventListener("pointerleave", () => ((this.over = null), this.figure.setValues([this.readout()])));
    this.canvas.addEventListener("click", (event) => room.view.set({ t: this.nearest(event) }));
    new ResizeObserver(() => this.own && this.figure.root.clientWidth !== this.width && this.paint()).observe(figure.root);
  }

  get data() {
    return { path: this.own.map((p) => [...p]), others: this.others.length, shares: this.room.layer().path_shares };
  }

  redraw() {
    const { room, figure } = this, { seen, view } = room, layer = room.layer();
    const points = (array, index) => {
      const values = part(array, index);
      return Array.from({ length: seen.steps }, (_, t) => [values[2 * t], values[2 * t + 1]]);
    };
    this.own = points(layer.path.own, view.state.sequence);
    this.others = Array.from({ length: layer.path.all.shape[0] }, (_, k) => k).filter((k) => k !== view.state.sequence).map((k) => points(layer.path.all, k));
    const both = layer.path_shares.reduce((a, b) => a + b, 0);
    figure.retitle(`Path of the whole state: two directions hold ${Math.round(100 * both)} % of how it varies`, "Each point is the whole hidden state at one step, seen along the two directions in which it varies most; dark is the begin, bright the end, grey are other sequences. A loop is a rhythm, a point where the path rests is a memory that is held.");
    figure.setEmpty("");
    figure.label.textContent = `second direction (${Math.round(100 * layer.path_shares[1])} % of the variance)`;
    figure.setLegend([{ name: "at the cursor", colour: colour("ink"), kind: "dot" }, { name: `${this.others.length} other sequences`, colour: colour("grid") }]);
    const all = [...this.own, ...this.others.flat()];
    this.limits = [0, 1].map((k) => all.reduce(([a, b], p) => [Math.min(a, p[k]), Math.max(b, p[k])], [Infinity, -Infinity]));
    this.follow();
    if (!figure.tableBox.hidden) figure.showTable(true);
  }

  place([a, b]) {
    const [[x0, x1], [y0, y1]] = this.limits;
    return [LEFT + ((a - x0) / (x1 - x0 || 1)) * (this.width - LEFT - RIGHT), HEIGHT - BOTTOM - ((b - y0) / (y1 - y0 || 1)) * (HEIGHT - TOP - BOTTOM)];
  }

  paint() {
    const width = (this.width = this.figure.root.clientWidth), scale = devicePixelRatio || 1, { seen, view } = this.room;
    if (!width) return;
    Object.assign(this.canvas, { width: width * scale, height: HEIGHT * scale });
    Object.assign(this.canvas.style, { width: `${width}px`, height: `${HEIGHT}px` });
    const c = this.canvas.getContext("2d");
    c.scale(scale, scale);
    c.font = `12px ${FONT}`;
    c.strokeStyle = colour("grid");
    c.strokeRect(LEFT - 4, TOP - 4, width - LEFT - RIGHT + 8, HEIGHT - TOP - BOTTOM + 8);
    c.lineWidth = 1;
    c.globalAlpha = 0.8;
    for (const other of this.others) {
      c.beginPath();
      other.forEach((p) => c.lineTo(...this.place(p)));
      c.stroke();
    }
    c.globalAlpha = 1;
    const tint = (t) => `rgb(${inferno(0.12 + (0.72 * t) / Math.max(1, seen.steps - 1)).join(",")})`;
    c.lineWidth = 2.25;
    c.lineCap = "round";
    for (let t = 1; t < this.own.length; t++) {
      c.strokeStyle = tint(t);
      c.beginPath();
      c.moveTo(...this.place(this.own[t - 1]));
      c.lineTo(...this.place(this.own[t]));
      c.stroke();
    }
    this.own.forEach((p, t) => dot(c, this.place(p), 2.5, tint(t)));
    const span = view.state.span;
    if (span) for (let t = span[0]; t <= span[1]; t++) dot(c, this.place(this.own[t]), 4, colour("s1"));
    for (const { at } of uprights(this.room)) if (this.own[at]) ring(c, this.place(this.own[at]), 6, colour("muted"), 1.5);
    dot(c, this.place(this.own[view.state.t]), 6, colour("ground"));
    dot(c, this.place(this.own[view.state.t]), 4.5, colour("ink"));
    ring(c, this.place(this.own[view.state.t]), 9, colour("ink"), 1.5);
    c.fillStyle = colour("muted");
    c.textBaseline = "middle";
    c.textAlign = "right";
    const [[x0, x1], [y0, y1]] = this.limits;
    c.fillText(number(y1, 2), LEFT - 8, TOP);
    c.fillText(number(y0, 2), LEFT - 8, HEIGHT - BOTTOM);
    c.textBaseline = "top";
    c.textAlign = "left";
    c.fillText(number(x0, 2), LEFT, HEIGHT - BOTTOM + 8);
    c.textAlign = "right";
    c.fillText(number(x1, 2), width - RIGHT, HEIGHT - BOTTOM + 8);
    c.textAlign = "center";
    c.fillText(`first direction (${Math.round(100 * this.room.layer().path_shares[0])} %)`, LEFT + (width - LEFT - RIGHT) / 2, HEIGHT - BOTTOM + 22);
    const long = 90, left = width - RIGHT - long - 30;
    for (let k = 0; k < long; k++) {
      c.fillStyle = tint((k / long) * (seen.steps - 1));
      c.fillRect(left + k, 4, 1.5, 9);
    }
    c.fillStyle = colour("muted");
    c.textBaseline = "middle";
    c.textAlign = "right";
    c.fillText("begin", left - 6, 9);
    c.textAlign = "left";
    c.fillText("end", left + long + 6, 9);
  }

  nearest({ offsetX, offsetY }) {
    const off = this.own.map((p) => Math.hypot(this.place(p)[0] - offsetX, this.place(p)[1] - offsetY));
    return off.indexOf(Math.min(...off));
  }

  hover(event) {
    this.over = this.nearest(event);
    this.figure.setValues([this.readout()]);
  }

  readout() {
    const { seen, view } = this.room, t = this.over ?? view.state.t;
    return `${seen.place(view.state.sequence, t)}: ${number(this.own[t][0])}, ${number(this.own[t][1])}`;
  }

  follow() {
    if (!this.own) return;
    this.paint();
    this.figure.setValues([this.readout(), ""]);
  }

  table() {
    const { seen, view } = this.room;
    return { columns: ["step", "first direction", "second direction"], rows: this.own.map(([a, b], t) => [seen.place(view.state.sequence, t), number(a), number(b)]) };
  }
}

function dot(c, [x, y], size, paint) {
  c.fillStyle = paint;
  c.beginPath();
  c.arc(x, y, size, 0, 7);
  c.fill();
}

function ring(c, [x, y], size, paint, thick) {
  c.strokeStyle = paint;
  c.lineWidth = thick;
  c.beginPath();
  c.arc(x, y, size, 0, 7);
  c.stroke();
}
