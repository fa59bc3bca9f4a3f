// S10, on which earlier steps each output depends: the norms of d output_t / d x_s, all at once and for the step at the cursor.

import { part, uprights, visible } from "./inside-data.js";
import { power } from "./words.js";

const DECADES = 3; // of the norms that are told apart by colour in a text

export function connectivityPanel(room) {
  const { seen, view } = room, n = () => view.state.sequence;
  if (!seen.connectivity) return null;
  const at = (step, s) => part(seen.connectivity, n())[step * seen.steps + s]; // log10 of the norm
  const limits = () => {
    const all = part(seen.connectivity, n()).filter(Number.isFinite);
    return all.length ? [all.reduce((a, b) => Math.min(a, b)), all.reduce((a, b) => Math.max(a, b))] : [0, 1];
  };
  let over = null; // the word under the mouse, which is asked about in place of the one at the cursor
  const step = () => Math.max(0, (over ?? view.state.t) - seen.first);
  const asked = (k) => (seen.kind === "classes" ? visible(seen.outputs[part(seen.connected, n())[k]]) : seen.outputs[part(seen.connected, n())[k]]);
  const row = () => Array.from({ length: seen.steps }, (_, s) => at(step(), s));
  const reach = () => {
    const logs = row(), top = Math.max(...logs.filter(Number.isFinite)), strongest = logs.indexOf(top);
    const far = logs.findIndex((log) => log >= top - 1);
    return { logs, strongest, back: step() + seen.first - far };
  };
  const title = () => {
    const { strongest, back } = reach();
    if (strongest < 0) return `Connectivity: ${asked(step())} at ${seen.spot(n(), seen.first + step())} depends on no input`;
    return `Connectivity: ${asked(step())} at ${seen.spot(n(), seen.first + step())} depends most on ${seen.spot(n(), strongest)}, and on others up to ${back} steps back`;
  };
  const how = `How strongly ${seen.kind === "classes" ? "the likeliest output" : "the output"} at the cursor would answer to a small change of each input${seen.first ? "; before the first output, the first one is asked about" : ""}. Up to so many steps back: where it is still a tenth of the strongest.`;

  const parts = [];
  if (seen.isText) {
    const strip = { size: "half", anew: ["t"], onHover: (t) => { if (t !== over) { over = t; relight(); } } };
    parts.push(room.strip("inside-connect", () => {
      const { logs } = reach(), top = Math.max(...logs.filter(Number.isFinite));
      return { title: title(), how: `${how} The colour is logarithmic, over three powers of ten. Pass the mouse over a word to ask about the output there.`, words: Array.from({ length: seen.steps }, (_, t) => seen.word(n(), t)), values: logs.map((v) => (Number.isFinite(v) ? v : null)), range: [top - DECADES, top], ramp: "warm", note: (t) => `${seen.spot(n(), t)}: ${Number.isFinite(at(step(), t)) ? (10 ** at(step(), t)).toPrecision(3) : "none"}` };
    }, strip));
  } else
    parts.push(room.lines("inside-connect", () => {
      const logs = row();
      return { title: title(), how, yLabel: "norm of the derivative", log: true, series: [{ name: `of the output at ${seen.place(n(), seen.first + step())}`, x: logs.map((_, t) => t), y: logs.map((v) => (Number.isFinite(v) ? 10 ** v : null)), colour: "s3", width: 2 }] };
    }, { height: 250, anew: ["t"] }));

  // The strip alone is lit anew while the mouse passes: its words stay as they are.
  function relight() {
    const strip = room.chart("inside-connect"), logs = row();
    const top = Math.max(...logs.filter(Number.isFinite));
    Object.assign(strip.spec, { values: logs.map((v) => (Number.isFinite(v) ? v : null)), range: [top - DECADES, top] });
    strip.figure.retitle(title(), strip.figure.caption.textContent);
    strip.colour();
  }

  parts.push(room.raster("inside-connectivity", () => {
    const [low, high] = limits();
    return {
      title: `All outputs at once: the strongest derivative is ${(10 ** high).toPrecision(2)}`, how: "Each row is an output, each column an input. Bright: a small change of that input changes that output much. What lies far left of the end of its row is long memory; what is dark there is forgotten.",
      columns: seen.steps, rows: seen.answers, value: (column, r) => at(r, column), range: [Math.max(low, high - 6), high], ends: [Math.max(low, high - 6), high].map((at) => power(Math.round(at))), ramp: "sequential", yLabel: "output at", rowWord: "output at", xLabel: "input at",
      columnName: (t) => seen.place(n(), t), rowName: (r) => (seen.isText ? seen.place(n(), seen.first + r) : seen.first ? `+${r + 1}` : String(seen.skipped + r + 1)), format: (log) => (10 ** log).toPrecision(3), uprights: seen.first ? uprights(room) : [],
      here: () => ({ column: view.state.t, row: step() }), to: (column, r) => ({ t: seen.first + r }),
    };
  }, { spans: false }));
  return parts;
}
