// A text whose words are coloured, one word for each step. `describe()` says what to draw:
//   {empty: why} or {title, how, words, values, range, ramp, bars, note(t), legend}; a value of null leaves a word without colour.

import { element } from "./figure.js";
import { onStepKeys } from "./keys.js";
import { colour, FONT } from "./theme.js";
import { ramps } from "./raster.js";
import { visible } from "./inside-data.js";

export class Strip {
  constructor(figure, view, describe, { say, onHover } = {}) {
    Object.assign(this, { figure, view, describe, say, onHover });
    this.box = element("div", { class: "strip" });
    figure.plot.append(this.box);
    figure.columns = () => this.table();
    figure.drawing = () => this.drawing();
    figure.plot.addEventListener("keydown", onStepKeys(view, () => (this.spec?.words ?? []).map((_, t) => t), () => this.say?.(this.readout())));
    this.box.addEventListener("pointermove", (event) => this.hover(event));
    this.box.addEventListener("pointerleave", () => this.hover(null));
    this.box.addEventListener("click", (event) => this.at(event) != null && view.set({ step: this.at(event) }));
  }

  get data() {
    if (!this.spec || this.spec.empty) return { empty: this.spec?.empty ?? "" };
    return { words: [...this.spec.words], values: this.spec.values ? [...this.spec.values] : null };
  }

  redraw() {
    const spec = (this.spec = this.describe()), figure = this.figure;
    if (spec.title) figure.retitle(spec.title, spec.how ?? figure.caption.textContent);
    figure.setEmpty(spec.empty);
    if (spec.empty) return;
    figure.setLegend([{ name: "at the cursor", colour: colour("ink"), kind: "dot" }, ...(spec.legend ?? [])]);
    const letters = spec.words.every((word) => [...word].length === 1);
    this.box.classList.toggle("letters", letters);
    this.box.classList.toggle("bars", Boolean(spec.bars));
    this.box.replaceChildren(...spec.words.map((word, t) => element("span", { class: "word", "data-t": t }, visible(word))));
    this.colour();
    this.follow();
    if (!figure.tableBox.hidden) figure.showTable(true);
  }

  paintOf(t) {
    const { values, range: [low, high] = [0, 1], ramp } = this.spec, value = values?.[t];
    return value == null || Number.isNaN(value) ? null : ramps[ramp ?? "diverging"]((value - low) / (high - low || 1));
  }

  colour() {
    [...this.box.children].forEach((word, t) => {
      const paint = this.paintOf(t);
      word.style.background = paint ? `rgb(${paint.join(",")})` : "";
      word.style.color = paint ? readable(paint) : "";
      if (this.spec.bars) word.style.setProperty("--bar", String((this.spec.values[t] ?? 0) / (this.spec.range[1] || 1)));
    });
  }

  at(event) {
    const t = event?.target.closest?.(".word")?.dataset.t;
    return t == null ? null : Number(t);
  }

  hover(event) {
    this.over = this.at(event);
    this.figure.setValues([this.readout()]);
    this.onHover?.(this.over);
  }

  readout() {
    const t = this.over ?? this.view.state.step;
    return this.spec?.empty || t == null ? "" : this.spec.note(t);
  }

  follow() {
    if (!this.spec || this.spec.empty) return;
    const { step, span } = this.view.state;
    [...this.box.children].forEach((word, t) => {
      word.classList.toggle("here", t === step);
      word.classList.toggle("in", span != null && t >= span[0] && t <= span[1]);
    });
    this.figure.setValues([this.readout()]);
  }

  table() {
    const { words, values, note } = this.spec;
    return { columns: ["step", "word", "value"], rows: words.map((word, t) => [String(t + 1), visible(word), values ? note(t) : ""]) };
  }

  drawing() {
    const scale = devicePixelRatio || 1, width = this.figure.root.clientWidth, canvas = document.createElement("canvas"), c = canvas.getContext("2d");
    const font = `15px ${FONT}`, places = [];
    let x = 0, y = 0;
    c.font = font;
    for (const [t, word] of this.spec.words.entries()) {
      const wide = c.measureText(visible(word)).width + 8;
      if (x + wide > width && x) [x, y] = [0, y + 28];
      places.push([t, visible(word), x, y, wide]);
      x += wide;
    }
    canvas.width = width * scale;
    canvas.height = (y + 28) * scale;
    c.scale(scale, scale);
    c.font = font;
    c.textBaseline = "middle";
    for (const [t, word, left, top, wide] of places) {
      const paint = this.paintOf(t);
      c.fillStyle = paint ? `rgb(${paint.join(",")})` : colour("ground");
      c.fillRect(left, top, wide, 26);
      c.fillStyle = paint ? readable(paint) : colour("ink");
      c.fillText(word, left + 4, top + 13);
    }
    return canvas;
  }
}

// Black or white, whichever is easier to read on a colour.
export const readable = ([r, g, b]) => (0.299 * r + 0.587 * g + 0.114 * b > 140 ? "#111111" : "#ffffff");
