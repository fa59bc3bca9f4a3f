// S3, the equations of one unit with its numbers at the cursor, by cell, in the letters of the library's docstrings.

import { element } from "./figure.js";
import { colour, FONT } from "./theme.js";
import { inSteps } from "./words.js";

const show = (v) => (v == null || Number.isNaN(v) ? "?" : Number.isFinite(v) ? inSteps(v, 0.001) : v > 0 ? "large" : "very low");
const logit = (v) => (v <= 0.0002 || v >= 0.9998 ? null : Math.log(v / (1 - v)));
const atanh = (v) => (Math.abs(v) >= 0.9998 ? null : Math.atanh(v));
const bar = (letter, value) => `${letter}̄ = ${value == null ? "far out" : show(value)}`;
const sigma = (letter, v) => [letter, `σ(${letter}̄)`, v[letter], bar(letter, logit(v[letter]))];
const tanh = (letter, v) => [letter, `tanh(${letter}̄)`, v[letter], bar(letter, atanh(v[letter]))];
const times = (...pairs) => pairs.map(([a, b]) => `${show(a)} · ${show(b)}`).join(" + ");

// Lines of [letter, equation, value, its numbers], and what is said of each gate's meaning.
const CARDS = {
  RNN: (v) => [["h", "tanh(h̄)", v.h, bar("h", atanh(v.h))]],
  LSTM: (v) => [
    [...sigma("i", v), "lets in"], [...sigma("f", v), "keeps"], [...tanh("g", v), "candidate"], [...sigma("o", v), "shows"],
    ["c", "f · c₋₁ + i · g", v.c, times([v.f, v.c_before], [v.i, v.g]), "memory"],
    ["h", "o · tanh(c)", v.h, `${show(v.o)} · tanh(${show(v.c)})`, "hidden state"],
  ],
  SLSTM: (v) => [
    ["i", "exp(ī − m)", v.i, "", "lets in"], ["f", "exp(log σ(f̄) + m₋₁ − m)", v.f, "", "keeps"], [...tanh("g", v), "candidate"], [...sigma("o", v), "shows"],
    ["c", "f · c₋₁ + i · g", v.c, times([v.f, v.c_before], [v.i, v.g]), "memory"],
    ["h", "o · c / n", v.h, "n = f · n₋₁ + i keeps it in range", "hidden state"],
  ],
  GRU: (v) => [
    [...sigma("r", v), "lets the past into n"], [...sigma("z", v), "keeps"], [...tanh("n", v), "candidate"],
    ["h", "(1 − z) · n + z · h₋₁", v.h, times([1 - v.z, v.n], [v.z, v.h_before]), "hidden state"],
  ],
  MinGRU: (v) => [
    [...sigma("z", v), "takes the candidate"], ["n", "g(n̄)", v.n, "", "candidate"],
    ["h", "(1 − z) · h₋₁ + z · n", v.h, times([1 - v.z, v.h_before], [v.z, v.n]), "hidden state"],
  ],
  MinLSTM: (v) => [
    ["i", "σ(ī) / (σ(ī) + σ(f̄))", v.i, "", "lets in"], ["f", "1 − i", v.f, `1 − ${show(v.i)}`, "keeps"], ["g", "g(ḡ)", v.g, "", "candidate"],
    ["h", "f · h₋₁ + i · g", v.h, times([v.f, v.h_before], [v.i, v.g]), "hidden state"],
  ],
  RGLRU: (v) => [
    [...sigma("r", v), "how fast it fades"], [...sigma("i", v), "lets in"], ["u", "W x", v.u, "", "candidate"],
    ["h", "a · h₋₁ + √(1 − a²) · (i · u)", v.h, `h₋₁ = ${show(v.h_before)}, a = exp(−8 softplus(Λ) · r)`, "hidden state"],
  ],
  LRU: (v) => [["y", "Re(C h) + D x + b", v.h, "h is complex: λ · h₋₁ + γ · (B x)", "what the unit gives"]],
};

const DIFFERENT = {
  layer_norm: "Its sums are normalised (layer_norm), and so is c on its way to h: the last line is not exact.",
  zoneout: "Zoneout mixes in the former state: the last lines are not exact.",
  proj_size: "h is a projection of all units (proj_size), so it has no line here.",
  peephole: "Peepholes add c to the sums of i, f and o.",
  positive: "Its candidate is kept positive.",
};

export function cardPanel(room) {
  const figure = room.figure("inside-card", { size: "side" });
  return [room.add("inside-card", new Card(figure, room), ["t", "unit"])];
}

class Card {
  constructor(figure, room) {
    Object.assign(this, { figure, room });
    this.body = element("dl", { class: "card" });
    this.note = element("p", { class: "how" });
    figure.plot.append(this.body, this.note);
    figure.plot.addEventListener("keydown", (event) => {
      const { t, unit } = room.view.state, to = { ArrowLeft: { t: t - 1 }, ArrowRight: { t: t + 1 }, ArrowUp: { unit: unit - 1 }, ArrowDown: { unit: unit + 1 } }[event.key];
      if (!to) return;
      event.preventDefault();
      const most = { t: room.seen.steps - 1, unit: room.layer().size - 1 }, [[key, value]] = Object.entries(to);
      room.view.set({ [key]: Math.min(most[key], Math.max(0, value)) });
    });
    figure.columns = () => ({ columns: ["", "equation", "value", "numbers"], rows: this.lines.map(([letter, equation, value, numbers]) => [letter, equation, show(value), numbers]) });
    figure.drawing = () => this.drawing();
  }

  get data() {
    return this.values;
  }

  redraw() {
    const { room, figure } = this, { seen, view } = room, layer = room.layer(), { sequence: n, t, unit } = view.state;
    const before = layer.backward ? t + 1 : t - 1, known = before >= 0 && before < seen.steps;
    const projected = layer.c && layer.c.shape[2] !== layer.size;
    const values = { h: layer.at(layer.h, n, t, unit) };
    if (known) values.h_before = layer.at(layer.h, n, before, unit);
    for (const letter of layer.gates) values[letter] = layer.at(layer.gate[letter], n, t, unit);
    if (layer.c) Object.assign(values, { c: layer.at(layer.c, n, t, unit), c_before: known ? layer.at(layer.c, n, before, unit) : undefined });
    // Before the first step there may be a state that was learned or handed over: what the equation leaves for it.
    if (!known && layer.c && values.f > 1e-3) values.c_before = (values.c - values.i * values.g) / values.f;
    if (!known && layer.cell === "GRU" && values.z > 1e-3) values.h_before = (values.h - (1 - values.z) * values.n) / values.z;
    this.values = values;
    this.lines = (CARDS[layer.cell] ?? ((v) => [["h", "", v.h, ""]]))(values).filter(([letter]) => !(projected && letter === "h"));
    if (layer.notes.includes("relu")) this.lines = [["h", "max(0, h̄)", values.h, ""]];
    figure.retitle(`Unit ${room.unitName(unit)} at ${seen.spot(n, t)}: h\u00a0=\u00a0${show(values.h)}`, `One step of this ${layer.cell} in the unit's own numbers; a bar marks the sum before it is squashed, ₋₁ the step ${layer.backward ? "after, as this direction reads backwards" : "before"}. Up and down choose the unit.`);
    figure.setEmpty("");
    this.body.replaceChildren(...this.lines.flatMap(([letter, equation, value, numbers, meaning]) => [
      element("dt", {}, element("b", {}, letter), ` = ${equation}`, ...(meaning ? [element("small", {}, meaning)] : [])),
      element("dd", {}, element("i", { class: "meter", style: `--at:${Math.max(-1, Math.min(1, value || 0))}` }), element("output", {}, show(value)), element("small", {}, numbers)),
    ]));
    this.note.textContent = [`Computed by ${layer.partAt(t)}.`, ...layer.notes.map((note) => DIFFERENT[note]).filter(Boolean)].join(" ");
    if (!figure.tableBox.hidden) figure.showTable(true);
  }

  follow() {}

  drawing() {
    const scale = devicePixelRatio || 1, width = this.figure.root.clientWidth, canvas = document.createElement("canvas"), c = canvas.getContext("2d");
    Object.assign(canvas, { width: width * scale, height: (this.lines.length * 44 + 8) * scale });
    c.scale(scale, scale);
    c.textBaseline = "top";
    this.lines.forEach(([letter, equation, value, numbers], k) => {
      c.font = `15px ${FONT}`;
      c.fillStyle = colour("ink");
      c.fillText(`${letter} = ${equation} = ${show(value)}`, 0, k * 44 + 4, width);
      c.font = `13px ${FONT}`;
      c.fillStyle = colour("muted");
      c.fillText(numbers, 12, k * 44 + 24, width - 12);
    });
    return canvas;
  }
}
