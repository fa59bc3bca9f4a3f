// Play with an associative memory: damage a pattern with mouse, finger or keyboard, and watch it fall back.

import { Bars } from "./bars.js";
import { Drawn } from "./drawn.js";
import { Figure, element } from "./figure.js";
import { memoryOf } from "./hopfield.js";
import { Lines } from "./lines.js";
import { ends, grid, sides } from "./pixels.js";
import { random } from "./play_language.js";
import { colour } from "./theme.js";
import { createView } from "./view.js";
import { number } from "./words.js";

const DAMAGE = 0.2, LONGEST = 900; // share of units that a press damages; milliseconds that a recall takes to watch
const WIDE = 320; // pixels of the picture

export function memoryCharts(spec, say) {
  const memory = memoryOf(spec), N = memory.N, [rows, columns] = sides(spec.shape), greys = ends(spec.network, memory.stored);
  const state = { s: Float64Array.from(memory.stored[0]), from: 0, at: 0, energies: [], turned: [], said: "", seed: 1, running: null };
  const charts = {}, quiet = createView({ whole: [0, 1] });
  const redraw = () => Object.values(charts).forEach((chart) => chart.redraw());

  function begin(said = "") {
    memory.forget?.();
    state.said = said;
    state.energies = [memory.energy(state.s)];
    state.turned = [0];
  }

  function start(p) {
    stop();
    state.from = p;
    state.s = Float64Array.from(memory.stored[p]);
    begin();
    redraw();
  }

  function set(k, value) {
    if (k < 0 || k >= N || state.s[k] === value) return;
    stop();
    state.s[k] = value;
    begin();
    redraw();
  }

  const other = (v) => (v > (greys.low + greys.high) / 2 ? greys.low : greys.high);

  function damage() {
    stop();
    const draw = random(state.seed++), places = Array.from({ length: N }, (_, k) => [draw(), k]).sort((a, b) => a[0] - b[0]).slice(0, Math.round(DAMAGE * N));
    for (const [, k] of places) state.s[k] = other(state.s[k]);
    begin();
    redraw();
    say?.(`${number(places.length)} units were turned; energy ${number(state.energies[0])}`);
  }

  function noted(turned) {
    state.energies.push(memory.energy(state.s));
    state.turned.push(state.turned.at(-1) + turned);
  }

  const way = () => memory.recall(state.s, { update: updateBox.value === "synchronous" ? "synchronous" : "asynchronous", order: updateBox.value, seed: state.seed++ });

  // One unit that turns, or one step.
  function step() {
    stop();
    const made = way().next();
    if (!made.done) noted(made.value);
    finish(made.done ? made.value : "");
  }

  function recall() {
    stop();
    begin();
    const moves = way(), calm = matchMedia("(prefers-reduced-motion: reduce)").matches, from = performance.now();
    let done = 0;
    const each = () => {
      const until = performance.now() + 12, due = calm ? Infinity : (performance.now() - from) / (LONGEST / Math.max(20, N / 6));
      for (; done < due && (calm || performance.now() < until); done++) {
        const made = moves.next();
        if (made.done) return finish(made.value);
        noted(made.value);
      }
      redraw();
      state.running = requestAnimationFrame(each);
    };
    each();
  }

  function stop() {
    if (state.running) cancelAnimationFrame(state.running);
    state.running = null;
  }

  function finish(how) {
    state.running = null;
    const overlaps = memory.overlaps(state.s), best = overlaps.indexOf(Math.max(...overlaps));
    const end = { rests: "it rests", swings: "it goes to and fro between two states", "time is up": "it still moves" }[how];
    state.said = end ? `${end}, nearest to pattern ${best} (overlap ${number(overlaps[best])})` : "";
    redraw();
    if (end) say?.(`Energy ${number(state.energies.at(-1))}: ${state.said}`);
  }

  const startBox = element("select", { id: "play-start", onchange: () => start(Number(startBox.value)) }, ...memory.stored.slice(0, spec.starts).map((_, p) => element("option", { value: String(p) }, `pattern ${p}`)));
  const updateBox = element("select", { id: "play-update" }, ...[["random", "one by one, in random order"], ["sequential", "one by one, in their order"], ["synchronous", "all at once"]].map(([value, text]) => element("option", { value }, text)));
  if (spec.update === "synchronous") updateBox.value = "synchronous";
  const button = (id, text, onclick) => element("button", { type: "button", id, onclick }, text);
  const controls = element("div", { class: "play-controls" }, element("div", { class: "row", role: "group", "aria-label": "What the network is shown" },
    element("label", { for: "play-start" }, "Begin with ", startBox), button("play-damage", `Damage ${100 * DAMAGE} %`, damage), button("play-recall", "Recall", recall), button("play-step", "One step", step), button("play-undo", "Undo all", () => start(state.from)),
    ...(spec.network === "binary" ? [element("label", { for: "play-update" }, "units turn ", updateBox)] : []),
  ));

  const picture = new Figure({ id: "play-pattern", title: "", how: "", size: "half", keys: "Arrow keys choose a unit, Space or Enter turns it, R recalls" });
  const size = (width) => Math.min(WIDE, width - 2), side = (width) => size(width) / Math.max(rows, columns);
  charts["play-pattern"] = new Drawn(picture, () => {
    const apart = state.s.reduce((sum, v, k) => sum + (Math.abs(v - memory.stored[state.from][k]) > 0.25 * (greys.high - greys.low)), 0);
    return {
      title: state.said ? `Recalled: ${state.said}` : apart ? `${number(apart)} of ${number(N)} units differ from pattern ${state.from}: press Recall` : `Pattern ${state.from}: draw on it to damage it`,
      how: "Click, or draw with the mouse or a finger, to turn units.",
      height: WIDE * (rows / Math.max(rows, columns)) + 4,
      data: () => ({ state: [...state.s], from: state.from, apart }),
      table: () => ({ columns: ["row", ...Array.from({ length: columns }, (_, k) => number(k))], rows: Array.from({ length: rows }, (_, r) => [number(r), ...Array.from(state.s.slice(r * columns, (r + 1) * columns), (v) => number(v))]) }),
      paint(c, width) {
        grid(c, state.s, spec.shape, { x: 1, y: 1, size: size(width), ...greys });
        const wide = side(width);
        c.strokeStyle = colour("s2");
        c.lineWidth = 2.5;
        c.strokeRect(1 + (state.at % columns) * wide, 1 + Math.floor(state.at / columns) * wide, wide, wide);
      },
    };
  });
  const canvas = charts["play-pattern"].canvas;
  const unitAt = (event) => {
    const wide = side(picture.root.clientWidth), column = Math.floor((event.offsetX - 1) / wide), row = Math.floor((event.offsetY - 1) / wide), k = row * columns + column;
    return column >= 0 && column < columns && row >= 0 && k < N ? k : -1;
  };
  let brush = null; // the value that a stroke draws
  canvas.style.touchAction = "none";
  canvas.addEventListener("pointerdown", (event) => {
    const k = unitAt(event);
    if (k < 0) return;
    brush = other(state.s[k]);
    canvas.setPointerCapture(event.pointerId);
    state.at = k;
    set(k, brush);
  });
  canvas.addEventListener("pointermove", (event) => brush != null && set(unitAt(event), brush));
  for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, () => (brush = null));
  picture.plot.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const move = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
    if (move) {
      if (state.at + move >= 0 && state.at + move < N) state.at += move;
      charts["play-pattern"].redraw();
    } else if (event.key === " " || event.key === "Enter") set(state.at, other(state.s[state.at]));
    else if (event.key.toLowerCase() === "r") recall();
    else return;
    event.preventDefault();
    if (event.key.toLowerCase() !== "r") say?.(`row ${Math.floor(state.at / columns)}, column ${state.at % columns}: ${number(state.s[state.at])}`);
  });

  const energy = new Figure({ id: "play-energy", title: "", how: "", size: "half", keys: "Left and right move along the chart" });
  charts["play-energy"] = new Lines(energy, quiet, () => {
    const by = spec.network === "binary" ? "units that have turned" : "step", rise = Math.max(0, ...state.energies.slice(1).map((v, k) => v - state.energies[k]));
    return {
      title: state.energies.length < 2 ? `Energy ${number(state.energies[0])}` : `Energy ${number(state.energies[0])} → ${number(state.energies.at(-1))}${rise > 1e-6 ? ", and it rose on the way: all turned at once" : ""}`,
      how: "A stored pattern lies in a valley. Damage lifts the state up its slope, and recall lets it roll down: not always into the valley that it came from.",
      yLabel: "energy", own: true, xLabel: by,
      series: [{ name: "energy", x: spec.network === "binary" ? state.turned : state.energies.map((_, k) => k), y: state.energies, colour: "s1", width: 2.25 }],
    };
  }, { say });

  const overlaps = new Figure({ id: "play-overlaps", title: "", how: "", size: "whole", keys: "The same numbers stand in the table" });
  charts["play-overlaps"] = new Bars(overlaps, () => {
    const all = memory.overlaps(state.s), shares = memory.shares?.(memory.xi ?? memory.compared(state.s));
    const order = all.map((v, p) => [v, p]).sort((a, b) => b[0] - a[0]).slice(0, 10);
    return {
      title: `Overlap: nearest is pattern ${order[0][1]} (${number(order[0][0])})`,
      how: `How alike the state is to each stored pattern: 1 is the pattern itself, −1 its negative. ${shares ? `Of the next step's attention pattern ${order[0][1]} has ${number(100 * shares[order[0][1]])} %.` : ""}`,
      items: order.map(([value, p]) => ({ name: `pattern ${p}`, value, strong: p === state.from })), least: 1,
    };
  });

  start(0);
  return { charts, parts: [element("p", { class: "how" }, `The network itself runs here, of ${number(N)} units and ${number(spec.patterns)} stored patterns${spec.patterns > memory.stored.length ? `, of which the first ${number(memory.stored.length)} are shown` : ""}. Its numbers travel in single precision.`), controls, element("div", { class: "charts" }, picture.root, energy.root, overlaps.root)] };
}
