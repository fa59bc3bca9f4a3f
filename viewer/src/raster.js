// A raster: a canvas of one cell for each column and row, with axes, a scale, a cursor and a readout. `describe()` says what to draw:
//   {empty: why} or {title, how, columns, rows, value(column, row), range, ramp: "diverging" | "sequential", yLabel, columnName(column),
//    rowName(row), here() -> {column, row}, to(column, row) -> what a click sets in the view, uprights: [{at, name}], span(), unit}
// Row 0 is at the top; a value of NaN keeps the ground's colour. A drag marks a span of columns where `spans` is on.

import { colour, diverging, FONT, inferno } from "./theme.js";
import { inSteps, number } from "./words.js";

const LEFT = 52, RIGHT = 12, TOP = 30, BOTTOM = 44;

export class Raster {
  constructor(figure, view, describe, { height = 250, say, spans = true } = {}) {
    Object.assign(this, { figure, view, describe, height, say, spans });
    this.canvas = document.createElement("canvas");
    figure.plot.append(this.canvas);
    figure.columns = () => this.table();
    figure.plot.addEventListener("keydown", (event) => this.key(event));
    this.canvas.addEventListener("pointermove", (event) => this.hover(event));
    this.canvas.addEventListener("pointerleave", () => this.leave());
    this.canvas.addEventListener("pointerdown", (event) => (this.from = this.cell(event)));
    this.canvas.addEventListener("pointerup", (event) => this.release(event));
    new ResizeObserver(() => this.resize()).observe(figure.root);
  }

  get data() {
    if (!this.spec || this.spec.empty) return { empty: this.spec?.empty ?? "" };
    const { columns, rows, value } = this.spec;
    return { rows: Array.from({ length: rows }, (_, r) => Array.from({ length: columns }, (_, c) => value(c, r))), range: [...this.spec.range] };
  }

  redraw() {
    const spec = (this.spec = this.describe()), figure = this.figure;
    this.over = null;
    if (spec.title) figure.retitle(spec.title, spec.how ?? figure.caption.textContent);
    figure.setEmpty(spec.empty);
    if (spec.empty) return;
    figure.label.textContent = spec.yLabel;
    figure.setLegend([{ name: "at the cursor", colour: colour("ink"), kind: "dot" }]);
    this.image = cells(spec);
    this.follow();
    if (!figure.tableBox.hidden) figure.showTable(true);
  }

  get wide() {
    return this.width - LEFT - RIGHT;
  }

  get high() {
    return this.height - TOP - BOTTOM;
  }

  x(column) {
    return LEFT + ((column + 0.5) * this.wide) / this.spec.columns;
  }

  y(row) {
    return TOP + ((row + 0.5) * this.high) / this.spec.rows;
  }

  cell({ offsetX, offsetY }) {
    if (!this.spec || this.spec.empty) return null;
    const column = Math.floor(((offsetX - LEFT) / this.wide) * this.spec.columns), row = Math.floor(((offsetY - TOP) / this.high) * this.spec.rows);
    return column >= 0 && row >= 0 && column < this.spec.columns && row < this.spec.rows ? { column, row } : null;
  }

  paint() {
    const { spec, canvas } = this, scale = devicePixelRatio || 1, width = (this.width = this.figure.root.clientWidth);
    if (!width) return;
    canvas.width = width * scale;
    canvas.height = this.height * scale;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${this.height}px`;
    const c = canvas.getContext("2d"), { wide, high } = this;
    c.scale(scale, scale);
    c.font = `12px ${FONT}`;
    c.imageSmoothingEnabled = false;
    c.drawImage(this.image, LEFT, TOP, wide, high);
    c.strokeStyle = colour("grid");
    c.strokeRect(LEFT - 0.5, TOP - 0.5, wide + 1, high + 1);
    this.axes(c);
    this.scaleBar(c);
    this.marks(c);
  }

  axes(c) {
    const { spec } = this;
    c.fillStyle = colour("muted");
    c.textBaseline = "middle";
    c.textAlign = "right";
    const every = Math.max(1, Math.ceil((spec.rows * 16) / this.high));
    for (let row = 0; row < spec.rows; row += every) c.fillText(spec.rowName(row), LEFT - 8, this.y(row), LEFT - 10);
    columnNames(c, spec, { x: (column) => this.x(column), y: this.height - BOTTOM + 8, left: LEFT, right: this.width });
    c.textAlign = "center";
    c.fillText(spec.xLabel ?? "step", LEFT + this.wide / 2, this.height - 14);
  }

  scaleBar(c) {
    const { spec } = this, ramp = ramps[spec.ramp], long = Math.min(120, this.wide / 3), left = this.width - RIGHT - long - 46;
    for (let k = 0; k < long; k++) {
      c.fillStyle = `rgb(${ramp(k / (long - 1)).join(",")})`;
      c.fillRect(left + k, 6, 1.5, 10);
    }
    c.fillStyle = colour("muted");
    c.textBaseline = "middle";
    c.textAlign = "right";
    const [low, high] = spec.ends ?? spec.range.map((v) => number(v, 2));
    c.fillText(spec.unit ? `${spec.unit} ${low}` : low, left - 6, 11, left - 10);
    c.textAlign = "left";
    c.fillText(high, left + long + 6, 11, 42);
  }

  marks(c) {
    const { spec } = this, tall = this.high / spec.rows, broad = this.wide / spec.columns;
    for (const { at, name } of spec.uprights ?? []) {
      const x = LEFT + at * broad;
      dashed(c, "#ffffff", x, TOP, x, TOP + this.high, []);
      dashed(c, "#111111", x, TOP, x, TOP + this.high, [4, 4]);
      c.fillStyle = colour("muted");
      c.textBaseline = "bottom";
      c.textAlign = "right";
      if (name && x - LEFT < this.wide * 0.98 && x < this.width - RIGHT - this.wide / 3 - 70) c.fillText(name, x - 4, TOP - 4, x - LEFT);
    }
    const span = this.spans ? spec.span?.() : null;
    if (span) {
      c.strokeStyle = colour("s1");
      c.lineWidth = 2;
      c.strokeRect(LEFT + span[0] * broad, TOP - 3, (span[1] - span[0] + 1) * broad, this.high + 6);
    }
    const here = spec.here();
    if (here.column != null) {
      const x = this.x(here.column);
      dashed(c, "#ffffff", x, TOP, x, TOP + this.high, []);
      dashed(c, "#111111", x, TOP, x, TOP + this.high, [3, 3]);
    }
    for (const row of here.row == null ? [] : [here.row, ...(here.rows ?? [])]) {
      c.fillStyle = colour(row === here.row ? "s2" : "s1");
      c.beginPath();
      const y = this.y(row);
      c.moveTo(LEFT - 1, y);
      c.lineTo(LEFT - 7, y - 4);
      c.lineTo(LEFT - 7, y + 4);
      c.fill();
    }
    if (here.column != null && here.row != null) {
      c.lineWidth = 3;
      c.strokeStyle = "#ffffff";
      const box = [this.x(here.column) - Math.max(broad, 5) / 2, this.y(here.row) - Math.max(tall, 5) / 2, Math.max(broad, 5), Math.max(tall, 5)];
      c.strokeRect(...box);
      c.lineWidth = 1.25;
      c.strokeStyle = "#111111";
      c.strokeRect(...box);
    }
  }

  hover(event) {
    const cell = this.cell(event);
    if (this.from && cell && event.buttons && this.spans && Math.abs(cell.column - this.from.column) > 0) return this.mark(this.from.column, cell.column);
    this.over = cell;
    this.figure.setValues([this.readout()]);
  }

  leave() {
    this.over = this.from = null;
    if (this.spec && !this.spec.empty) this.figure.setValues([this.readout()]);
  }

  mark(a, b) {
    this.view.set({ span: [Math.min(a, b), Math.max(a, b)] });
  }

  release(event) {
    const cell = this.cell(event), from = this.from;
    this.from = null;
    if (!cell || !from) return;
    if (cell.column === from.column || !this.spans) this.go(cell.column, cell.row);
  }

  go(column, row) {
    const clip = (k, many) => Math.min(many - 1, Math.max(0, k));
    this.view.set(this.spec.to(clip(column, this.spec.columns), clip(row, this.spec.rows)));
    this.say?.(this.readout());
  }

  key(event) {
    if (!this.spec || this.spec.empty || event.ctrlKey || event.metaKey || event.altKey) return;
    const { column, row } = this.spec.here(), far = event.shiftKey ? 10 : 1, here = [column ?? 0, row ?? 0];
    const to = {
      ArrowLeft: [here[0] - far, here[1]], ArrowRight: [here[0] + far, here[1]], ArrowUp: [here[0], here[1] - far], ArrowDown: [here[0], here[1] + far],
      Home: [0, here[1]], End: [this.spec.columns, here[1]],
    }[event.key];
    if (event.key === "Escape" && this.spans) this.view.set({ span: null });
    else if (event.key === "Enter") this.spec.pin?.();
    else if (to) this.go(...to);
    else return;
    event.preventDefault();
  }

  follow() {
    if (!this.spec || this.spec.empty) return;
    this.paint();
    this.figure.setValues([this.readout()]);
  }

  readout() {
    const { spec } = this, { column, row } = this.over ?? spec.here();
    if (column == null || row == null) return "";
    const value = spec.value(column, row);
    return `${spec.rowWord ?? "unit"} ${spec.rowName(row)}, ${(spec.spot ?? spec.columnName)(column)}: ${Number.isNaN(value) ? "none" : (spec.format ?? number)(value)}`;
  }

  resize() {
    if (this.spec && !this.spec.empty && this.figure.root.clientWidth !== this.width) this.paint();
  }

  table() {
    const { spec } = this, rows = Array.from({ length: spec.rows }, (_, row) => row);
    return {
      columns: [spec.xLabel ?? "step", ...rows.map((row) => `${spec.rowWord ?? "unit"} ${spec.rowName(row)}`)],
      rows: Array.from({ length: spec.columns }, (_, column) => [spec.columnName(column), ...rows.map((row) => inFew(spec.value(column, row), spec))]),
    };
  }
}

export const ramps = { diverging, sequential: inferno, warm: (share) => diverging(0.5 + Math.max(0, share) / 2) };

const inFew = (value, spec) => (Number.isNaN(value) ? "–" : (spec.format ?? ((v) => inSteps(v, 0.001)))(value));

export function cells({ columns, rows, value, range: [low, high], ramp }) {
  const image = document.createElement("canvas"), paint = ramps[ramp];
  image.width = columns;
  image.height = rows;
  const context = image.getContext("2d"), pixels = context.createImageData(columns, rows);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) {
      const v = value(column, row);
      if (!Number.isNaN(v)) pixels.data.set([...paint((v - low) / (high - low || 1)), 255], 4 * (row * columns + column));
    }
  context.putImageData(pixels, 0, 0);
  return image;
}

// Names under columns, as many as have room.
export function columnNames(c, spec, { x, y, left, right }) {
  c.textBaseline = "top";
  c.textAlign = "center";
  c.fillStyle = colour("muted");
  const wide = Math.max(...Array.from({ length: spec.columns }, (_, k) => c.measureText(spec.columnName(k)).width)) + 14;
  const every = Math.max(1, Math.ceil((wide * spec.columns) / (right - left)));
  for (let column = 0; column < spec.columns; column += every) {
    const half = c.measureText(spec.columnName(column)).width / 2;
    if (x(column) + half <= right) c.fillText(spec.columnName(column), Math.max(half, x(column)), y);
  }
}

function dashed(c, stroke, x0, y0, x1, y1, dash) {
  c.strokeStyle = stroke;
  c.lineWidth = 1;
  c.setLineDash(dash);
  c.beginPath();
  c.moveTo(x0, y0);
  c.lineTo(x1, y1);
  c.stroke();
  c.setLineDash([]);
}

export const RASTER_HELP = "Left and right move the cursor, up and down choose the row, Enter pins it. A click does both; dragging marks a span, Escape removes it";
