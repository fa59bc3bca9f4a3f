// Play with a network that writes: type and watch its state grow, let it go on, hold a unit at a value.

import { Drawn, diverging, rgb, ticks } from "./drawn.js";
import { Figure, element } from "./figure.js";
import { LanguageModel, softmax } from "./network.js";
import { rounding } from "./play.js";
import { colour, FONT } from "./theme.js";
import { number, percent } from "./words.js";

const LONGEST = 2000; // characters that are read
const WRITTEN = 400; // characters of one continuation
const BARS = 12;
const LEFT = 44, RIGHT = 10;

export const shown = (token) => token.replace(/ /g, "␣").replace(/\n/g, "⏎").replace(/\t/g, "⇥").replace(/\r/g, "␍") || "∅";

// Random numbers from 0 to 1 that a seed fixes (mulberry32).
export function random(seed) {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

// A text that is read token by token; what was read before a change is not read again.
class Reading {
  constructor(network, held) {
    Object.assign(this, { network, held, tokens: [], steps: [] });
  }

  read(tokens) {
    let same = 0;
    while (same < tokens.length && tokens[same] === this.tokens[same]) same++;
    this.tokens = [...tokens];
    this.steps.length = same;
    for (let k = same; k < tokens.length; k++) this.steps.push(this.network.step(tokens[k], k ? this.steps[k - 1].state : this.network.initial(), this.held));
  }

  // The bits of surprise at each token after the first.
  surprise() {
    return this.tokens.slice(1).map((token, k) => (this.steps[k].bits ??= {})[token] ?? (this.steps[k].bits[token] = -Math.log2(softmax(this.steps[k].logits)[token])));
  }
}

export function languageCharts(spec, say) {
  const network = new LanguageModel(spec), layers = network.layer.layers, units = network.layer.units;
  const numbers = new Map(spec.vocabulary.map((token, k) => [token, k])), longest = Math.max(...spec.vocabulary.map((token) => token.length));
  const state = { layer: layers - 1, unit: 0, value: 1, holding: false, at: null, temperature: 0.7, seed: 0 };
  const free = new Reading(network), charts = {};
  const most = ["LSTM", "GRU", "SLSTM"].includes(network.layer.cell) || (network.layer.cell === "RNN" && network.layer.nonlinearity === "tanh") ? 1 : 3; // what a unit can hold, more or less
  let held = null, unknown = [], running = null;

  const text = element("textarea", { id: "play-text", rows: "4", maxlength: String(LONGEST), spellcheck: "false", autocapitalize: "off", oninput: () => { stop(); state.at = null; update(); } });
  text.value = spec.prompt;
  const note = element("p", { class: "how", role: "status" });
  const on = element("button", { type: "button", id: "play-continue", onclick: () => go() }, "Continue");
  const halt = element("button", { type: "button", id: "play-stop", disabled: true, onclick: () => stop() }, "Stop");
  const anew = element("button", { type: "button", id: "play-anew", onclick: () => { stop(); text.value = spec.prompt; state.at = null; update(); } }, "Back to the begin");
  const slider = (id, label, low, high, step, get, set, name = number) => {
    const told = element("output", { for: id }, name(get()));
    const box = element("input", { id, type: "range", min: String(low), max: String(high), step: String(step), value: String(get()), oninput: () => { set(Number(box.value)); told.textContent = name(get()); later(); } });
    return { box, told, root: element("label", { for: id }, `${label} `, box, " ", told) };
  };
  const heat = slider("play-temperature", "Temperature", 0.1, 2, 0.05, () => state.temperature, (v) => (state.temperature = v), (v) => v.toFixed(2));
  const seed = element("input", { id: "play-seed", type: "number", min: "0", max: "999999", value: "0", onchange: () => (state.seed = Number(seed.value) || 0) });
  const layerBox = element("select", { id: "play-layer", onchange: () => { state.layer = Number(layerBox.value); state.holding && hold(); later(); } }, ...Array.from({ length: layers }, (_, k) => element("option", { value: String(k) }, String(k + 1))));
  layerBox.value = String(state.layer);
  const unitBox = element("input", { id: "play-unit", type: "number", min: "0", max: String(units - 1), value: "0", oninput: () => { state.unit = Math.min(units - 1, Math.max(0, Math.round(Number(unitBox.value)) || 0)); state.holding && hold(); later(); } });
  const holdBox = element("input", { id: "play-hold", type: "checkbox", onchange: () => { state.holding = holdBox.checked; hold(); later(); } });
  const value = slider("play-value", "at", -most, most, 0.05, () => state.value, (v) => { state.value = v; state.holding && hold(); }, (v) => v.toFixed(2));

  const controls = element("div", { class: "play-controls" },
    element("label", { class: "play-words", for: "play-text" }, "Text that the network reads. Type, and it reads along:", text), note,
    element("div", { class: "row", role: "group", "aria-label": "Let the network write" }, on, halt, anew, heat.root, element("label", { for: "play-seed" }, "seed ", seed)),
    element("div", { class: "row", role: "group", "aria-label": "Hold a unit at a value" }, element("label", { for: "play-hold" }, holdBox, " Hold"), ...(layers > 1 ? [element("label", { for: "play-layer" }, "layer ", layerBox)] : []), element("label", { for: "play-unit" }, "unit ", unitBox), value.root),
    element("p", { class: "how" }, "Temperature: low writes what is likeliest, high takes risks. The same seed writes the same text. A held unit gives the value that you choose at every step, whatever it would have given: what changes is what the unit was for."),
  );

  function hold() {
    held = state.holding ? new Reading(network, { layer: state.layer, unit: state.unit, value: state.value }) : null;
  }

  const used = () => held ?? free;
  const place = () => Math.min(state.at ?? Infinity, free.tokens.length - 1);

  function split(written) {
    const tokens = [];
    unknown = [];
    for (let k = 0; k < written.length; ) {
      let size = Math.min(longest, written.length - k);
      while (size > 0 && !numbers.has(written.slice(k, k + size))) size--;
      if (size) tokens.push(numbers.get(written.slice(k, k + size)));
      else {
        const one = String.fromCodePoint(written.codePointAt(k));
        unknown.push(one);
        size = one.length;
      }
      k += size;
    }
    return tokens;
  }

  function update() {
    const tokens = split(text.value);
    free.read(tokens);
    held?.read(tokens);
    const odd = [...new Set(unknown)];
    note.textContent = odd.length ? `Not in its training text, so it does not read: ${odd.slice(0, 12).map(shown).join(" ")}` : "";
    note.hidden = !odd.length;
    for (const chart of Object.values(charts)) chart.redraw();
  }

  let waiting = 0;
  const later = () => (waiting ||= requestAnimationFrame(() => { waiting = 0; update(); }));

  function go() {
    const dice = random(state.seed), calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    let left = WRITTEN;
    state.at = null;
    [on.disabled, halt.disabled] = [true, false];
    const one = () => {
      const reading = used(), last = reading.steps.at(-1);
      const shares = last ? softmax(last.logits, state.temperature) : spec.vocabulary.map(() => 1 / spec.vocabulary.length);
      let mark = dice(), token = 0;
      while (token < shares.length - 1 && mark >= shares[token]) mark -= shares[token++];
      if (text.value.length + spec.vocabulary[token].length > LONGEST || !spec.vocabulary[token]) return (left = 0);
      text.value += spec.vocabulary[token];
      free.read([...free.tokens, token]);
      held?.read([...held.tokens, token]);
      left--;
    };
    const frame = () => {
      do one(); while (calm && left > 0);
      text.scrollTop = text.scrollHeight;
      for (const chart of Object.values(charts)) chart.redraw();
      if (left > 0) running = requestAnimationFrame(frame);
      else stop();
    };
    running = requestAnimationFrame(frame);
  }

  function stop() {
    if (running) cancelAnimationFrame(running);
    running = null;
    [on.disabled, halt.disabled] = [false, true];
  }

  const figure = (id, title, size, keys) => new Figure({ id, title, how: "", size, keys });
  const nothing = "The network has read nothing yet: type something above.";
  const cell = () => (network.layer.cell === "LRU" ? "y" : "h");
  const outputs = (reading) => reading.steps.map((step) => step.outputs[state.layer]);

  const raster = figure("play-state", "State", "whole", "Left and right move along the text, up and down choose a unit, Enter holds it or lets it go");
  charts["play-state"] = new Drawn(raster, () => {
    const reading = used(), hs = outputs(reading);
    if (!hs.length) return { empty: nothing };
    const wide = Math.max(8, Math.floor(((raster.root.clientWidth || 800) - LEFT - RIGHT) / 13)), first = Math.max(0, hs.length - wide), at = place();
    const from = Math.min(first, Math.max(0, at - 2)), seen = hs.slice(from, from + wide), top = Math.max(1, ...seen.map((h) => Math.max(...h.map(Math.abs))));
    const names = reading.tokens.slice(from, from + wide).map((t) => shown(spec.vocabulary[t]));
    return {
      title: `State: what the ${number(units)} units${layers > 1 ? ` of layer ${state.layer + 1}` : ""} hold after each of the last ${number(seen.length)} characters`,
      how: "Each column is one character read, each row one unit. Red is positive, blue negative, pale is near zero. A row that changes at spaces, capitals or brackets keeps track of these. Click a row to choose its unit.",
      label: `unit of the state, ${cell()}`,
      legend: [
        { name: `+${number(top, 2)}`, colour: rgb(diverging(1)), kind: "area" }, { name: `−${number(top, 2)}`, colour: rgb(diverging(-1)), kind: "area" },
        { name: `unit ${state.unit} after “${shown(spec.vocabulary[reading.tokens[at]])}”`, colour: "ink", kind: "dot", value: number(hs[at][state.unit]) },
      ],
      height: 330,
      data: () => ({ from, layer: state.layer, tokens: [...reading.tokens], h: hs.map((h) => [...h]) }),
      table: () => ({ columns: ["place", "character", ...Array.from({ length: units }, (_, k) => `unit ${k}`)], rows: seen.map((h, k) => [number(from + k + 1), names[k], ...[...h].map((v) => number(v))]) }),
      paint(c, width, height) {
        const bottom = height - 40, step = Math.min(26, (width - LEFT - RIGHT) / seen.length), image = document.createElement("canvas");
        image.width = seen.length;
        image.height = units;
        const pixels = image.getContext("2d"), painted = pixels.createImageData(seen.length, units);
        seen.forEach((h, x) => h.forEach((v, y) => painted.data.set([...diverging(v / top), 255], 4 * (y * seen.length + x))));
        pixels.putImageData(painted, 0, 0);
        c.imageSmoothingEnabled = false;
        c.drawImage(image, LEFT, 0, step * seen.length, bottom);
        c.strokeStyle = colour("grid");
        c.strokeRect(LEFT - 0.5, 0.5, step * seen.length + 1, bottom);
        c.fillStyle = colour("muted");
        c.textAlign = "right";
        for (const unit of ticks(0, units - 1, 7).places) if (Number.isInteger(unit)) c.fillText(String(unit), LEFT - 8, Math.max(7, ((unit + 0.5) / units) * bottom));
        c.textAlign = "center";
        names.forEach((name, k) => {
          c.fillStyle = colour(from + k === at ? "ink" : "muted");
          c.font = `${from + k === at ? "600 " : ""}12px ui-monospace, monospace`;
          c.fillText([...name].slice(0, 2).join(""), LEFT + (k + 0.5) * step, bottom + 12);
        });
        c.font = `12px ${FONT}`;
        c.fillStyle = colour("muted");
        c.textAlign = "left";
        c.fillText("characters read", LEFT, bottom + 31);
        c.strokeStyle = colour("ink");
        c.lineWidth = 1.5;
        const high = bottom / units, y = state.unit * high;
        c.strokeRect(LEFT, y, step * seen.length, Math.max(2, high));
        c.strokeRect(LEFT + (at - from) * step, 0.75, step, bottom - 1);
        this.where = { from, step, bottom };
      },
    };
  });
  const pick = (unit, at) => {
    state.unit = Math.min(units - 1, Math.max(0, unit));
    unitBox.value = String(state.unit);
    if (at != null) state.at = Math.min(free.tokens.length - 1, Math.max(0, at));
    if (state.holding) hold();
    update();
    const read = used();
    if (read.tokens.length) say?.(`after ${shown(spec.vocabulary[read.tokens[place()]])}, unit ${state.unit}: ${number(outputs(read)[place()][state.unit])}`);
  };
  charts["play-state"].canvas.addEventListener("click", (event) => {
    const { from, step, bottom } = charts["play-state"].spec.where;
    if (event.offsetY < bottom && event.offsetX > LEFT) pick(Math.floor((event.offsetY / bottom) * units), from + Math.floor((event.offsetX - LEFT) / step));
  });
  raster.plot.addEventListener("keydown", (event) => {
    const at = place(), move = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0], Home: [0, -Infinity], End: [0, Infinity] }[event.key];
    if (move) pick(state.unit + move[0], at + move[1]);
    else if (event.key === "Enter") holdBox.click();
    else return;
    event.preventDefault();
  });

  const next = figure("play-next", "Next character", "half", "The same numbers stand in the table");
  charts["play-next"] = new Drawn(next, () => {
    const at = place();
    if (at < 0) return { empty: nothing };
    const shares = softmax(used().steps[at].logits, state.temperature), before = held && softmax(free.steps[at].logits, state.temperature);
    const order = [...shares.keys()].sort((a, b) => shares[b] - shares[a]).slice(0, BARS), name = (k) => shown(spec.vocabulary[k]);
    const most = Math.max(...order.map((k) => Math.max(shares[k], before?.[k] ?? 0))), high = 24;
    return {
      title: `Next character: “${name(order[0])}” is the likeliest, at ${percent(shares[order[0]])}`,
      how: `How likely the network finds each character after “${shown(spec.vocabulary[used().tokens[at]])}”, at this temperature. ␣ is a space, ⏎ a new line.`,
      label: "probability",
      legend: held ? [{ name: `unit ${state.unit} held at ${number(state.value)}`, colour: "s2", kind: "area" }, { name: "as trained", colour: "muted", kind: "area" }] : [],
      height: high * order.length + 10,
      data: () => ({ at, logits: [...used().steps[at].logits], free: [...free.steps[at].logits], probabilities: [...shares], order }),
      table: () => ({ columns: ["character", "probability", ...(held ? ["as trained"] : [])], rows: [...shares.keys()].sort((a, b) => shares[b] - shares[a]).map((k) => [name(k), percent(shares[k]), ...(held ? [percent(before[k])] : [])]) }),
      paint(c, width) {
        const wide = width - 44 - 66;
        order.forEach((k, row) => {
          const y = row * high + 4;
          c.fillStyle = colour("ink");
          c.textAlign = "center";
          c.font = "14px ui-monospace, monospace";
          c.fillText([...name(k)].slice(0, 4).join(""), 20, y + high / 2 - 2);
          c.font = `12px ${FONT}`;
          c.fillStyle = colour(held ? "s2" : "s1");
          c.fillRect(44, y, Math.max(1, (wide * shares[k]) / most), held ? 9 : 16);
          if (before) {
            c.fillStyle = colour("muted");
            c.fillRect(44, y + 10, Math.max(1, (wide * before[k]) / most), 6);
          }
          c.fillStyle = colour("ink");
          c.textAlign = "left";
          c.fillText(percent(shares[k]), 44 + (wide * Math.max(shares[k], before?.[k] ?? 0)) / most + 8, y + 8);
        });
      },
    };
  });

  const bits = figure("play-surprise", "Surprise", "half", "The same numbers stand in the table");
  charts["play-surprise"] = new Drawn(bits, () => {
    if (used().tokens.length < 2) return { empty: "It takes two characters to be surprised: the second one." };
    const all = used().surprise(), plain = free.surprise(), mean = (v) => v.reduce((a, b) => a + b, 0) / v.length;
    const room = Math.max(8, Math.floor(((bits.root.clientWidth || 500) - LEFT - RIGHT) / 11)), from = Math.max(0, all.length - room), seen = all.slice(from), beside = plain.slice(from);
    const names = used().tokens.slice(from + 1).map((t) => shown(spec.vocabulary[t]));
    const top = Math.max(4, ...seen, ...(held ? beside : []));
    return {
      title: held ? `Surprise: ${number(mean(all))} bits a character with unit ${state.unit} held, ${number(mean(plain))} as trained` : `Surprise: ${number(mean(all))} bits a character on this text`,
      how: "How unexpected each character was: 0 bits were sure, 1 bit is one of two, 5 bits are one of 32. The first letters of words usually surprise most.",
      label: "surprise (bits)",
      legend: held ? [{ name: `unit ${state.unit} held at ${number(state.value)}`, colour: "s2", kind: "area" }, { name: "as trained", colour: "ink", kind: "dot" }] : [],
      height: 290,
      data: () => ({ bits: [...all], free: [...plain] }),
      table: () => ({ columns: ["place", "character", "bits", ...(held ? ["as trained"] : [])], rows: seen.map((v, k) => [number(from + k + 2), names[k], number(v), ...(held ? [number(beside[k])] : [])]) }),
      paint(c, width, height) {
        const bottom = height - 40, step = Math.min(22, (width - LEFT - RIGHT) / seen.length), y = (v) => bottom - (v / top) * (bottom - 8);
        c.textAlign = "right";
        for (const place of ticks(0, top, 5).places) {
          c.strokeStyle = colour("grid");
          c.beginPath();
          c.moveTo(LEFT, Math.round(y(place)) + 0.5);
          c.lineTo(width - RIGHT, Math.round(y(place)) + 0.5);
          c.stroke();
          c.fillStyle = colour("muted");
          c.fillText(number(place), LEFT - 8, y(place));
        }
        seen.forEach((v, k) => {
          const x = LEFT + k * step;
          c.fillStyle = colour(held ? "s2" : "s1");
          c.fillRect(x + 1, y(v), Math.max(1, step - 2), bottom - y(v));
          if (held) {
            c.fillStyle = colour("ink");
            c.fillRect(x, y(beside[k]) - 1, step, 2);
          }
          c.fillStyle = colour("muted");
          c.textAlign = "center";
          c.font = "11px ui-monospace, monospace";
          c.fillText([...names[k]][0], x + step / 2, bottom + 12);
          c.font = `12px ${FONT}`;
        });
        c.fillStyle = colour("muted");
        c.textAlign = "left";
        c.fillText("characters read", LEFT, bottom + 31);
      },
    };
  });

  free.read(split(text.value));
  return { charts, parts: [element("p", { class: "how" }, rounding(spec)), controls, element("div", { class: "charts" }, raster.root, next.root, bits.root)] };
}
