// The gradient through time: a canvas of one cell for each look inside and lag. `describe(state)` says what to draw:
//   {empty: why} or {title, how, at, lags, logs, horizon, steps, label}; logs[column * lags.length + row] is log10 of the norm.

import { HELP, onStepKeys, zoomTo } from "./keys.js";
import { nearest } from "./record.js";
import { colour, FONT, inferno } from "./theme.js";
import { onTouch } from "./touch.js";
import { number, power } from "./words.js";

export const LOW = -8, HIGH = 2; // the fixed scale: what has one colour in one run has it in all of them
const LEFT = 52, RIGHT = 12, TOP = 34, BOTTOM = 46;
const HORIZON = ["#ffffff", "#00a6ff"]; // seen on every colour of the ramp: a light line with a blue core

export class Heatmap {
  constructor(figure, view, describe, { height = 320, say } = {}) {
    Object.assign(this, { figure, view, describe, height, say, row: 0 });
    this.canvas = document.createElement("canvas");
    this.brush = document.createElement("div");
    this.brush.className = "brush";
    figure.plot.append(this.canvas, this.brush);
    figure.columns = () => this.table();
    const stepKeys = onStepKeys(view, () => this.spec.at, () => this.pin(view.state.step));
    figure.plot.addEventListener("keydown", (event) => {
      if (event.key === "ArrowUp" || event.key === "ArrowDown") {
        this.row = Math.min(this.spec.lags.length - 1, Math.max(0, this.row + (event.key === "ArrowUp" ? 1 : -1)));
        event.preventDefault();
        this.follow();
        this.say?.(this.readout());
      } else stepKeys(event);
    });
    this.canvas.addEventListener("pointermove", (event) => this.hover(event));
    this.canvas.addEventListener("pointerdown", (event) => (this.from = event.pointerType === "touch" ? null : event.offsetX));
    this.canvas.addEventListener("click", (event) => event.pointerType === "touch" && !this.spec?.empty && this.pin(this.stepAt(event.offsetX)));
    onTouch(figure.plot, view, { stepAt: (x) => (this.spec?.empty ? NaN : this.stepAt(x)), places: () => this.spec?.at ?? [] });
    addEventListener("pointerup", (event) => this.release(event));
    new ResizeObserver(() => this.resize()).observe(figure.root);
  }

  get data() {
    if (!this.spec || this.spec.empty) return { empty: this.spec?.empty ?? "" };
    const { at, lags, logs, horizon, steps } = this.spec, high = lags.length;
    return { at: [...at], lags: [...lags], horizon: [...horizon], steps, log10: at.map((_, column) => [...logs.subarray(column * high, (column + 1) * high)]) };
  }

  redraw() {
    const spec = (this.spec = this.describe(this.view.state)), figure = this.figure;
    if (spec.title) figure.retitle(spec.title, spec.how);
    figure.setEmpty(spec.empty);
    if (spec.empty) return;
    this.row = Math.min(this.row, spec.lags.length - 1);
    figure.label.textContent = "lag: steps back from the end of the sequence";
    figure.setLegend([{ name: "memory horizon", colour: HORIZON[1] }, { name: "under the cursor", colour: colour("ink"), kind: "dot" }]);
    this.image = this.cells();
    this.paint();
    this.follow();
    if (!figure.tableBox.hidden) figure.showTable(true);
  }

  // One pixel a cell, lag 0 at the bottom; what is not finite keeps the ground's colour.
  cells() {
    const { at, lags, logs } = this.spec, image = document.createElement("canvas"), high = lags.length;
    image.width = at.length;
    image.height = high;
    const context = image.getContext("2d"), pixels = context.createImageData(at.length, high);
    for (let column = 0; column < at.length; column++)
      for (let row = 0; row < high; row++) {
        const log = logs[column * high + row];
        if (Number.isNaN(log)) continue;
        const [r, g, b] = inferno((log - LOW) / (HIGH - LOW));
        pixels.data.set([r, g, b, 255], 4 * ((high - 1 - row) * at.length + column));
      }
    context.putImageData(pixels, 0, 0);
    return image;
  }

  // Where a look begins and ends on the axis of steps: halfway to its neighbours.
  edges(column) {
    const { at } = this.spec, [low, high] = this.view.state.whole;
    const here = at[column], before = at[column - 1], after = at[column + 1];
    const half = before == null ? (after == null ? (high - low) / 2 : (after - here) / 2) : (here - before) / 2;
    return [before == null ? here - half : (before + here) / 2, after == null ? here + half : (here + after) / 2];
  }

  x(step) {
    const [low, high] = this.view.state.range ?? this.view.state.whole;
    return LEFT + ((step - low) / (high - low)) * (this.width - LEFT - RIGHT);
  }

  stepAt(x) {
    const [low, high] = this.view.state.range ?? this.view.state.whole;
    return low + ((x - LEFT) / (this.width - LEFT - RIGHT)) * (high - low);
  }

  // The height of a lag: rows are evenly high, and lags of a long sequence lie ever further apart.
  y(lag) {
    const { lags } = this.spec, last = lags.length - 1;
    let row = last < 1 ? 0 : lags.findIndex((l) => l >= lag);
    if (row < 0) row = last + (lag - lags[last]) / Math.max(1, lags[last] - lags[last - 1] || 1);
    else if (row > 0) row -= (lags[row] - lag) / (lags[row] - lags[row - 1]);
    return this.bottom - ((row + 0.5) * (this.bottom - TOP)) / lags.length;
  }

  get bottom() {
    return this.height - BOTTOM;
  }

  paint() {
    const { spec, canvas } = this, scale = devicePixelRatio || 1, width = (this.width = this.figure.root.clientWidth);
    if (!width) return;
    canvas.width = width * scale;
    canvas.height = this.height * scale;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${this.height}px`;
    const c = canvas.getContext("2d"), wide = width - LEFT - RIGHT, high = this.bottom - TOP;
    c.scale(scale, scale);
    c.font = `12px ${FONT}`;
    c.imageSmoothingEnabled = false;
    c.save();
    c.beginPath();
    c.rect(LEFT, TOP, wide, high);
    c.clip();
    spec.at.forEach((_, column) => {
      const [from, to] = this.edges(column).map((step) => this.x(step));
      if (to >= LEFT && from <= LEFT + wide) c.drawImage(this.image, column, 0, 1, spec.lags.length, from, TOP, to - from + 0.5, high);
    });
    for (const [stroke, thick] of [[HORIZON[0], 4.5], [HORIZON[1], 2.25]]) {
      c.strokeStyle = stroke;
      c.lineWidth = thick;
      c.lineJoin = "round";
      c.beginPath();
      spec.horizon.forEach((horizon, column) => {
        if (horizon == null) return;
        // A horizon of k lies between lag k - 1, which is still above, and lag k.
        const y = Math.max(TOP + 1, (this.y(horizon) + this.y(Math.max(0, horizon - 1))) / 2), [from, to] = this.edges(column).map((step) => this.x(step));
        c.lineTo(from, y);
        c.lineTo(to, y);
      });
      c.stroke();
    }
    c.restore();
    this.axes(c, wide, high);
    this.scaleBar(c, width);
    this.marks(c);
  }

  axes(c, wide, high) {
    const { lags } = this.spec, muted = colour("muted"), [low, last] = this.view.state.range ?? this.view.state.whole;
    c.strokeStyle = colour("grid");
    c.strokeRect(LEFT - 0.5, TOP - 0.5, wide + 1, high + 1);
    c.fillStyle = muted;
    c.textBaseline = "middle";
    c.textAlign = "right";
    let free = Infinity;
    for (const lag of roundLags(lags)) {
      const y = this.y(lag);
      if (free - y < 16) continue;
      c.fillText(number(lag), LEFT - 8, y);
      free = y;
    }
    c.textBaseline = "top";
    const rough = (last - low) / Math.max(2, wide / 90), unit = 10 ** Math.floor(Math.log10(rough));
    const step = Math.max(1, [1, 2, 5, 10].map((k) => k * unit).find((s) => s >= rough));
    for (let at = Math.ceil(low / step) * step; at <= last; at += step) {
      const text = number(at), half = c.measureText(text).width / 2, x = this.x(at);
      c.textAlign = "center";
      c.fillText(text, Math.min(LEFT + wide + RIGHT - half, Math.max(half, x)), this.bottom + 8);
    }
    c.textAlign = "center";
    c.fillText("training step", LEFT + wide / 2, this.bottom + 28);
  }

  scaleBar(c, width) {
    const wide = Math.min(220, width - LEFT - RIGHT - 150), left = width - RIGHT - wide - 34, muted = colour("muted");
    for (let k = 0; k < wide; k++) {
      c.fillStyle = `rgb(${inferno(k / (wide - 1)).join(",")})`;
      c.fillRect(left + k, 6, 1.5, 10);
    }
    c.fillStyle = muted;
    c.textBaseline = "middle";
    c.textAlign = "right";
    c.fillText(`norm ≤ ${power(LOW)}`, left - 6, 11);
    c.textAlign = "left";
    c.fillText(`≥ ${power(HIGH)}`, left + wide + 6, 11);
  }

  // The cursor's column and row, and the column whose profile is shown.
  marks(c) {
    const { at, lags } = this.spec, { step, pinned } = this.view.state;
    c.save();
    c.beginPath();
    c.rect(LEFT, TOP - 8, this.width - LEFT - RIGHT, this.bottom - TOP + 16);
    c.clip();
    if (pinned != null) {
      const x = this.x(at[nearest(at, pinned)]);
      c.fillStyle = colour("s2");
      for (const [y, up] of [[TOP - 1, -1], [this.bottom + 1, 1]]) {
        c.beginPath();
        c.moveTo(x, y);
        c.lineTo(x - 6, y + up * 8);
        c.lineTo(x + 6, y + up * 8);
        c.fill();
      }
    }
    if (step != null) {
      const x = this.x(step);
      c.strokeStyle = "#ffffff";
      c.lineWidth = 1;
      c.setLineDash([3, 3]);
      c.beginPath();
      c.moveTo(x, TOP);
      c.lineTo(x, this.bottom);
      c.stroke();
      c.setLineDash([]);
      const [from, to] = this.edges(nearest(at, step)).map((s) => this.x(s)), tall = (this.bottom - TOP) / lags.length;
      c.lineWidth = 1.5;
      c.strokeRect(from, this.bottom - (this.row + 1) * tall, Math.max(3, to - from), Math.max(3, tall));
    }
    c.restore();
  }

  hover(event) {
    if (!this.spec || this.spec.empty) return;
    const { offsetX: x, offsetY: y } = event, { at, lags } = this.spec;
    if (this.from != null && event.buttons && Math.abs(x - this.from) > 6) {
      const [a, b] = [Math.min(x, this.from), Math.max(x, this.from)];
      Object.assign(this.brush.style, { display: "block", left: `${Math.max(LEFT, a)}px`, width: `${Math.min(this.width - RIGHT, b) - Math.max(LEFT, a)}px`, top: `${TOP}px`, height: `${this.bottom - TOP}px` });
      return;
    }
    if (x < LEFT || x > this.width - RIGHT || y < TOP || y > this.bottom) return;
    this.row = Math.min(lags.length - 1, Math.floor(((this.bottom - y) / (this.bottom - TOP)) * lags.length));
    const step = at[nearest(at, this.stepAt(x))];
    if (step === this.view.state.step) this.follow();
    else this.view.set({ step });
  }

  release(event) {
    const from = this.from;
    this.from = null;
    this.brush.style.display = "none";
    if (from == null || this.spec?.empty) return;
    const x = event.clientX - this.canvas.getBoundingClientRect().left;
    if (Math.abs(x - from) > 6) zoomTo(this.view, this.stepAt(from), this.stepAt(x));
    else if (x >= LEFT && x <= this.width - RIGHT) this.pin(this.stepAt(x));
  }

  pin(step) {
    const at = this.spec.at[nearest(this.spec.at, step)];
    this.view.set({ step: at, pinned: at });
    this.say?.(this.readout());
  }

  follow() {
    if (!this.spec || this.spec.empty) return;
    this.paint();
    const { step } = this.view.state;
    if (step == null) return this.figure.setValues(["", "nothing yet"]);
    const column = nearest(this.spec.at, step);
    this.figure.setValues([`${number(this.spec.horizon[column])} of ${number(this.spec.steps)} steps`, this.readout()]);
  }

  readout() {
    const { at, lags, logs } = this.spec, column = nearest(at, this.view.state.step ?? at[0]), log = logs[column * lags.length + this.row];
    return `step ${number(at[column])}, lag ${number(lags[this.row])}: ${Number.isNaN(log) ? "not finite" : number(10 ** log)}`;
  }

  zoomed() {
    this.follow();
  }

  resize() {
    if (this.spec && !this.spec.empty && this.figure.root.clientWidth !== this.width) this.paint();
  }

  table() {
    const { at, lags, logs, horizon } = this.spec, kept = roundLags(lags).map((lag) => lags.indexOf(lags[nearest(lags, lag)]));
    return {
      columns: ["training step", "memory horizon", ...kept.map((row) => `lag ${number(lags[row])}`)],
      rows: at.map((step, column) => [number(step), number(horizon[column]), ...kept.map((row) => number(10 ** logs[column * lags.length + row]))]),
    };
  }
}

// A few lags that a reader counts in, of those there are.
function roundLags(lags) {
  const last = lags.at(-1), even = lags.length === last + 1;
  if (!even) return [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000].filter((lag) => lag <= last);
  const stride = [1, 2, 5, 10, 20].find((s) => last / s <= 8) ?? 20;
  return Array.from({ length: Math.floor(last / stride) + 1 }, (_, k) => k * stride);
}

export const HEATMAP_HELP = `${HELP}; up and down change the lag. A click shows that step's profile; dragging zooms`;
