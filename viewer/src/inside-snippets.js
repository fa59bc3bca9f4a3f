// A list of places in the data, each with what stood there: a piece of text, or a piece of a series.
// `describe()` says what to list: {empty: why} or {title, how, items: [{sequence, from, to, value}], word}.

import { element } from "./figure.js";
import { visible } from "./inside-data.js";
import { colour, FONT } from "./theme.js";
import { number } from "./words.js";

const AROUND = 14, ROW = 40;

export class Snippets {
  constructor(figure, room, describe) {
    Object.assign(this, { figure, room, describe });
    this.list = element("ol", { class: "snippets" });
    figure.plot.append(this.list);
    figure.plot.removeAttribute("role"); // a list of buttons, no picture
    figure.columns = () => ({ columns: ["sequence", "from", "to", this.spec.word, "what stood there"], rows: this.spec.items.map((item) => [room.seen.labels[item.sequence], String(item.from + 1), String(item.to + 1), number(item.value), this.text(item).join("")]) });
    figure.drawing = () => this.drawing();
  }

  get data() {
    return this.spec.empty ? { empty: this.spec.empty } : { items: this.spec.items.map((item) => ({ ...item })) };
  }

  redraw() {
    const spec = (this.spec = this.describe()), { figure, room } = this;
    figure.retitle(spec.title, spec.how ?? "");
    figure.setEmpty(spec.empty);
    if (spec.empty) return;
    this.list.replaceChildren(...spec.items.map((item) => {
      const open = item.sequence < room.seen.count;
      const go = () => room.view.set({ sequence: item.sequence, t: item.to, span: item.from === item.to ? null : [item.from, item.to] });
      const body = [element("span", { class: "what" }, ...this.what(item)), element("small", {}, `${room.seen.labels[item.sequence]}, step ${item.to + 1 + room.seen.skipped}`), element("output", {}, number(item.value))];
      return element("li", {}, open ? element("button", { type: "button", onclick: go }, ...body) : element("span", { class: "still-there" }, ...body));
    }));
    if (!figure.tableBox.hidden) figure.showTable(true);
  }

  follow() {}

  edges({ from, to }) {
    return [Math.max(0, from - AROUND), Math.min(this.room.seen.steps - 1, to + AROUND)];
  }

  text(item) {
    const { seen } = this.room, [low, high] = this.edges(item);
    if (!seen.isText) return ["", seen.series(item.sequence, 0).slice(item.from, item.to + 1).map((v) => number(v)).join(" "), ""];
    const { glue } = seen;
    const words = (a, b) => Array.from({ length: Math.max(0, b - a) }, (_, k) => visible(seen.word(item.sequence, a + k))).join(glue);
    return [words(low, item.from) + glue, words(item.from, item.to + 1), glue + words(item.to + 1, high + 1)];
  }

  what(item) {
    const [before, at, after] = this.text(item);
    return this.room.seen.isText ? [before, element("mark", {}, at), after] : [this.spark(item)];
  }

  // A piece of the first series with the span marked.
  spark(item) {
    const canvas = element("canvas", { class: "spark" }), width = 220, height = 30, scale = devicePixelRatio || 1;
    Object.assign(canvas, { width: width * scale, height: height * scale });
    Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
    const c = canvas.getContext("2d");
    c.scale(scale, scale);
    sparkline(c, this.room.seen.series(item.sequence, 0), this.edges(item), [item.from, item.to], width, height);
    return canvas;
  }

  drawing() {
    const scale = devicePixelRatio || 1, width = this.figure.root.clientWidth, canvas = document.createElement("canvas"), c = canvas.getContext("2d");
    Object.assign(canvas, { width: width * scale, height: (ROW * this.spec.items.length + 4) * scale });
    c.scale(scale, scale);
    c.textBaseline = "middle";
    c.font = `13px ${FONT}`;
    this.spec.items.forEach((item, k) => {
      c.save();
      c.translate(0, k * ROW + 4);
      if (this.room.seen.isText) {
        c.fillStyle = colour("ink");
        c.fillText(this.text(item).join(""), 0, 15, width - 60);
      } else sparkline(c, this.room.seen.series(item.sequence, 0), this.edges(item), [item.from, item.to], Math.min(220, width - 60), 30);
      c.fillStyle = colour("muted");
      c.textAlign = "right";
      c.fillText(number(item.value), width, 15);
      c.restore();
    });
    return canvas;
  }
}

function sparkline(c, series, [low, high], [from, to], width, height) {
  const known = series.filter((v) => v != null), [least, most] = [Math.min(...known), Math.max(...known)];
  const x = (t) => ((t - low) / Math.max(1, high - low)) * width, y = (v) => height - 3 - ((v - least) / (most - least || 1)) * (height - 6);
  const half = Math.max(2, width / (high - low || 1) / 2);
  c.fillStyle = colour("grid");
  c.fillRect(x(from) - half, 0, x(to) - x(from) + 2 * half, height);
  c.strokeStyle = colour("ink");
  c.lineWidth = 1.5;
  c.beginPath();
  let down = false;
  for (let t = low; t <= high; t++) {
    if (series[t] == null) down = false;
    else {
      c[down ? "lineTo" : "moveTo"](x(t), y(series[t]));
      down = true;
    }
  }
  c.stroke();
}
