// Named bars, one below the other. `describe()` says what to draw:
//   {empty: why} or {title, how, items: [{name, value, strong}], format, least}; negative values go to the left.

import { colour, FONT } from "./theme.js";
import { number } from "./words.js";

const ROW = 26;

export class Bars {
  constructor(figure, describe) {
    Object.assign(this, { figure, describe });
    this.canvas = document.createElement("canvas");
    figure.plot.append(this.canvas);
    figure.columns = () => ({ columns: ["name", "value"], rows: (this.spec.items ?? []).map((item) => [item.name, (this.spec.format ?? number)(item.value)]) });
    new ResizeObserver(() => this.spec && !this.spec.empty && figure.root.clientWidth !== this.width && this.paint()).observe(figure.root);
  }

  get data() {
    return this.spec?.empty ? { empty: this.spec.empty } : { names: this.spec.items.map((i) => i.name), values: this.spec.items.map((i) => i.value) };
  }

  redraw() {
    const spec = (this.spec = this.describe()), figure = this.figure;
    figure.retitle(spec.title, spec.how ?? figure.caption.textContent);
    figure.setEmpty(spec.empty);
    if (spec.empty) return;
    this.paint();
    if (!figure.tableBox.hidden) figure.showTable(true);
  }

  follow() {}

  paint() {
    const { items, format = number, least = 0 } = this.spec, width = (this.width = this.figure.root.clientWidth), scale = devicePixelRatio || 1;
    if (!width) return;
    const height = ROW * items.length + 4, c = this.canvas.getContext("2d");
    Object.assign(this.canvas, { width: width * scale, height: height * scale });
    Object.assign(this.canvas.style, { width: `${width}px`, height: `${height}px` });
    c.scale(scale, scale);
    c.font = `13px ${FONT}`;
    c.textBaseline = "middle";
    const names = Math.min(width * 0.45, Math.max(...items.map((item) => c.measureText(item.name).width)) + 12), most = Math.max(least, ...items.map((item) => Math.abs(item.value))) || 1;
    const low = items.some((item) => item.value < 0), room = width - names - 64, zero = names + (low ? room / 2 : 0);
    items.forEach(({ name, value, strong }, row) => {
      const y = 2 + ROW * row, long = ((low ? room / 2 : room) * Math.abs(value)) / most;
      c.textAlign = "right";
      c.fillStyle = colour("ink");
      c.font = `${strong ? "700 " : ""}13px ${FONT}`;
      c.fillText(name, names - 8, y + ROW / 2, names - 8);
      c.fillStyle = colour(strong ? "s2" : "s1");
      c.fillRect(value < 0 ? zero - long : zero, y + 4, Math.max(1, long), ROW - 8);
      c.textAlign = "left";
      c.fillStyle = colour("muted");
      c.fillText(format(value), (value < 0 ? zero : zero + long) + 6, y + ROW / 2, 58);
    });
  }
}
