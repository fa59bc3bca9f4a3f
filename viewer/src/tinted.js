// A series over the steps of a sequence whose points are coloured by another number. `describe()` says what to draw:
//   {title, how, y, tint, range, yLabel}; null leaves a gap.

import { element } from "./figure.js";
import { uprights } from "./inside-data.js";
import { columnNames, ramps } from "./raster.js";
import { onStepKeys } from "./keys.js";
import { colour, FONT } from "./theme.js";
import { number } from "./words.js";

const LEFT = 52, RIGHT = 12, TOP = 22, BOTTOM = 42, HEIGHT = 210;

export class Tinted {
  constructor(figure, room, describe) {
    Object.assign(this, { figure, room, describe });
    this.canvas = element("canvas");
    figure.plot.append(this.canvas);
    const steps = { get state() { return { step: room.view.state.t, range: null, whole: [0, room.seen.steps - 1] }; }, set: ({ step, range }) => (step != null ? room.view.set({ t: step }) : range === null && room.view.set({ span: null })) }; // prettier-ignore
    figure.plot.addEventListener("keydown", onStepKeys(steps, () => this.spec.y.map((_, t) => t), () => room.say(this.readout())));
    const at = (event) => Math.max(0, Math.min(this.spec.y.length - 1, Math.floor(((event.offsetX - LEFT) / (this.width - LEFT - RIGHT)) * this.spec.y.length)));
    this.canvas.addEventListener("pointermove", (event) => ((this.over = at(event)), figure.setValues([this.readout()])));
    this.canvas.addEventListener("pointerleave", () => ((this.over = null), figure.setValues([this.readout()])));
    this.canvas.addEventListener("click", (event) => room.view.set({ t: at(event) }));
    figure.columns = () => ({ columns: ["step", this.spec.yLabel, "colour"], rows: this.spec.y.map((v, t) => [room.seen.place(room.view.state.sequence, t), number(v), number(this.spec.tint[t])]) });
    new ResizeObserver(() => this.spec && figure.root.clientWidth !== this.width && this.paint()).observe(figure.root);
  }

  get data() {
    return { y: [...this.spec.y], values: [...this.spec.tint] };
  }

  redraw() {
    const spec = (this.spec = this.describe()), figure = this.figure;
    figure.retitle(spec.title, spec.how);
    figure.setEmpty("");
    figure.label.textContent = spec.yLabel;
    figure.setLegend([{ name: "at the cursor", colour: colour("ink"), kind: "dot" }]);
    this.follow();
    if (!figure.tableBox.hidden) figure.showTable(true);
  }

  paint() {
    const { y, tint, range: [low, high] } = this.spec, width = (this.width = this.figure.root.clientWidth), scale = devicePixelRatio || 1, { seen, view } = this.room;
    if (!width) return;
    Object.assign(this.canvas, { width: width * scale, height: HEIGHT * scale });
    Object.assign(this.canvas.style, { width: `${width}px`, height: `${HEIGHT}px` });
    const c = this.canvas.getContext("2d"), known = y.filter((v) => v != null), [least, most] = [Math.min(...known), Math.max(...known)];
    const wide = (width - LEFT - RIGHT) / y.length, px = (t) => LEFT + (t + 0.5) * wide, py = (v) => HEIGHT - BOTTOM - ((v - least) / (most - least || 1)) * (HEIGHT - TOP - BOTTOM - 8) - 4;
    c.scale(scale, scale);
    c.font = `12px ${FONT}`;
    c.fillStyle = colour("grid");
    for (const { at } of uprights(this.room)) c.fillRect(LEFT + at * wide, TOP, 1, HEIGHT - TOP - BOTTOM);
    const span = view.state.span;
    if (span) c.fillRect(LEFT + span[0] * wide, TOP, (span[1] - span[0] + 1) * wide, HEIGHT - TOP - BOTTOM);
    y.forEach((v, t) => {
      // The strip below the line has the colour alone, for steps where the series is not known.
      c.fillStyle = `rgb(${ramps.diverging((tint[t] - low) / (high - low || 1)).join(",")})`;
      c.fillRect(LEFT + t * wide, HEIGHT - BOTTOM, wide + 0.5, 8);
      if (v == null) return;
      c.fillRect(LEFT + t * wide, py(v), wide + 0.5, HEIGHT - BOTTOM - py(v));
    });
    c.strokeStyle = colour("ink");
    c.lineWidth = 1.75;
    c.lineJoin = "round";
    c.beginPath();
    let down = false;
    y.forEach((v, t) => {
      if (v != null) c[down ? "lineTo" : "moveTo"](px(t), py(v));
      down = v != null;
    });
    c.stroke();
    c.fillStyle = colour("muted");
    c.textAlign = "right";
    c.textBaseline = "middle";
    c.fillText(number(most), LEFT - 8, py(most));
    c.fillText(number(least), LEFT - 8, py(least));
    columnNames(c, { columns: y.length, columnName: (t) => seen.place(view.state.sequence, t) }, { x: px, y: HEIGHT - BOTTOM + 14, left: LEFT, right: width });
    const x = px(view.state.t);
    c.strokeStyle = colour("ink");
    c.setLineDash([3, 3]);
    c.lineWidth = 1;
    c.beginPath();
    c.moveTo(x, TOP - 6);
    c.lineTo(x, HEIGHT - BOTTOM + 8);
    c.stroke();
    const long = 100, left = width - RIGHT - long - 40;
    for (let k = 0; k < long; k++) {
      c.fillStyle = `rgb(${ramps.diverging(k / (long - 1)).join(",")})`;
      c.fillRect(left + k, 2, 1.5, 9);
    }
    c.fillStyle = colour("muted");
    c.textAlign = "right";
    c.textBaseline = "middle";
    c.fillText(number(low, 2), left - 6, 7);
    c.textAlign = "left";
    c.fillText(number(high, 2), left + long + 6, 7);
  }

  readout() {
    const t = this.over ?? this.room.view.state.t;
    return `${this.room.seen.place(this.room.view.state.sequence, t)}: ${number(this.spec.y[t])}, h = ${number(this.spec.tint[t])}`;
  }

  follow() {
    if (!this.spec) return;
    this.paint();
    this.figure.setValues([this.readout()]);
  }
}
