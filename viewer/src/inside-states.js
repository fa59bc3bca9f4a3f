// S4 to S6, what every unit did at every step: rasters of h, c and each gate, and lines of the units that are pinned.

import { uprights } from "./inside-data.js";
import { gateName, number } from "./words.js";

const GATES = {
  i: "Bright lets the new candidate into the memory, dark keeps it out.",
  f: "Bright keeps the memory, dark wipes it.",
  o: "Bright shows the memory to the next layer, dark hides it.",
  r: "Bright lets the past take part in the candidate, dark leaves it out.",
  z: "Bright keeps the old state, dark takes the candidate.",
  g: "What may be written: red is positive, blue negative.",
  n: "What may be written: red is positive, blue negative.",
  u: "What may be written: red is positive, blue negative.",
};
const MINIMAL = "Bright takes the candidate, dark keeps the old state.";
const LINES = ["s1", "s2", "s3", "s4", "s5", "s6"];

export function statePanel(room) {
  const { seen, view } = room, layer = room.layer;
  const order = () => sorted(layer(), view.state.sort);

  function describe(array, title, how, ramp, unit) {
    const rows = order(), n = view.state.sequence;
    const value = (column, row) => layer().at(array, n, column, rows[row]);
    return {
      title, how, columns: seen.steps, rows: rows.length, value, range: rangeOf(array, ramp), ramp, unit, yLabel: "unit",
      columnName: (t) => seen.place(n, t), spot: (t) => seen.spot(n, t), rowName: (row) => room.unitName(rows[row]), uprights: uprights(room), span: () => view.state.span,
      here: () => ({ column: view.state.t, row: rows.indexOf(view.state.unit), rows: view.state.pins.map((unit) => rows.indexOf(unit)) }),
      to: (column, row) => ({ t: column, unit: rows[row] }), pin: () => view.set({ pins: toggled(view.state) }),
    };
  }

  // Gates and memory of a projected lstm have more rows than h, which then are not its units.
  const ownRows = (array) => array.shape[2] !== layer().size;
  const apart = (array, spec) => (ownRows(array) ? { ...spec, rows: array.shape[2], value: (c, r) => layer().at(array, view.state.sequence, c, r), rowName: String, here: () => ({ column: view.state.t, row: null }), to: (column) => ({ t: column }) } : spec);

  const parts = [room.raster("inside-h", () => {
    const h = layer().h, n = view.state.sequence, swings = Array.from({ length: layer().size }, (_, u) => swing(layer().line(h, n, u))), most = swings.indexOf(Math.max(...swings));
    return describe(h, `Hidden state h: of ${layer().size} units, unit ${room.unitName(most)} swings most, by ${number(swings[most])}`, "Each row is a unit, each column a step. Red is positive, blue negative, pale near zero. A row that keeps its colour remembers; one that flickers follows the input.", "diverging", "h");
  }, { anew: ["sort"] })];

  if (seen.layers.some((l) => l.has_c))
    parts.push(room.raster("inside-c", () => {
      const c = layer().c;
      if (!c) return { title: "Memory c", empty: `${layer().cell} has no memory beside its hidden state.` };
      // A few units may remember far more than the others: the ramp ends where 99 of 100 numbers lie.
      const sizes = c.values.filter(Number.isFinite).map(Math.abs).sort(), top = sizes[Math.floor(0.99 * (sizes.length - 1))] || 1e-9;
      return { ...apart(c, describe(c, `Memory c: up to ${number(sizes.at(-1))} in size in these sequences, where h stays within 1`, "What the unit remembers before the output gate. It changes slowly where the forget gate is open.", "diverging", "c")), range: [-top, top], ends: [`≤ ${number(-top, 2)}`, `≥ ${number(top, 2)}`] };
    }, { anew: ["sort"] }));

  const letters = [...new Set(seen.layers.flatMap((l) => l.gates))];
  for (const letter of letters)
    parts.push(room.raster(`inside-gate-${letter}`, () => {
      const gate = layer().gate[letter];
      if (!gate) return { title: `Gate ${letter}`, empty: `${layer().cell} has no gate ${letter}.` };
      const name = gateName(letter), meaning = GATES[letter] ?? "", candidate = "gnu".includes(letter);
      const values = gate.values.filter(Number.isFinite), share = values.filter((v) => (candidate ? Math.abs(v) > 0.9 : v > 0.5)).length / Math.max(1, values.length);
      const title = candidate ? `${name}: beyond 0.9 at ${Math.round(100 * share)} % of the steps and units of these sequences` : `${name}: open, above a half, at ${Math.round(100 * share)} % of the steps and units of these sequences`;
      return apart(gate, describe(gate, title, layer().cell === "MinGRU" && letter === "z" ? MINIMAL : meaning, candidate ? "diverging" : "sequential", letter));
    }, { anew: ["sort"] }));

  parts.push(room.lines("inside-pinned", () => {
    const units = [...new Set([view.state.unit, ...view.state.pins])], n = view.state.sequence, x = Array.from({ length: seen.steps }, (_, t) => t);
    const own = layer().cell === "LSTM" && !ownRows(layer().c);
    const series = units.flatMap((unit, k) => [
      { name: `h of unit ${room.unitName(unit)}`, x, y: layer().line(layer().h, n, unit), colour: LINES[k % 6], width: k ? 1.5 : 2.25 },
      // In the same range as h: h is the output gate's share of it.
      ...(own ? [{ name: `tanh(c) of unit ${room.unitName(unit)}`, x, y: layer().line(layer().c, n, unit).map((v) => (v == null ? null : Math.tanh(v))), colour: LINES[k % 6], dash: [5, 4], width: 1.25 }] : []),
    ]);
    const y = series[0].y.filter((v) => v != null);
    return { title: `Unit ${room.unitName(view.state.unit)}${units.length > 1 ? ` and ${units.length - 1} pinned` : ""}: h goes from ${number(Math.min(...y))} to ${number(Math.max(...y))}`, how: "The chosen unit and those that were pinned, as lines. Pin a unit with Enter on a raster, or with the button.", yLabel: own ? "h, and tanh(c) dashed" : "h", series };
  }, { height: 300, anew: ["unit", "pins"] }));
  return parts;
}

export const toggled = ({ pins, unit }) => (pins.includes(unit) ? pins.filter((u) => u !== unit) : [...pins, unit].slice(-5));

export function sorted(layer, by) {
  const all = layer.kept.map((_, unit) => unit);
  if (by === "cluster") return layer.order;
  return by === "related" ? all.sort((a, b) => (layer.related[b] ?? 0) - (layer.related[a] ?? 0)) : all;
}

function rangeOf(array, ramp) {
  const values = array.values.filter(Number.isFinite);
  if (ramp === "sequential") return [0, Math.max(1, values.reduce((a, b) => Math.max(a, b), 0))];
  const top = values.reduce((most, v) => Math.max(most, Math.abs(v)), 1e-9);
  return [-top, top];
}

const swing = (line) => {
  const known = line.filter((v) => v != null);
  return Math.max(...known) - Math.min(...known);
};
