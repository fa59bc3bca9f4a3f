// Recall, of an associative memory: how energy falls, what the states look like on the way, and how much damage is too much.
// The numbers are those of src/elman/tasks/memory_trials.py.

import { Bars } from "./bars.js";
import { Drawn } from "./drawn.js";
import { Figure, element } from "./figure.js";
import { Lines } from "./lines.js";
import { ends, grid, sides } from "./pixels.js";
import { Raster, RASTER_HELP } from "./raster.js";
import { colour } from "./theme.js";
import { createView } from "./view.js";
import { number, percent } from "./words.js";

const COLOURS = ["s1", "s2", "s3", "s4", "s5", "s6"];
const OWN = "Left and right move along the chart; the values stand beside the names";
const ENDS = { 0: "had not come to rest when time was up", 1: "rests", 2: "goes to and fro between two states" };

// Adds its charts to `charts`.
export function memorySection(record, charts, say) {
  const root = document.getElementById("memory-charts"), runs = record.runs.filter((run) => run.memory);
  if (!root || !runs.length) return;
  const place = element("div", {}), state = { recall: 0 };
  const show = (index) => {
    for (const id of Object.keys(charts)) if (id.startsWith("memory-")) delete charts[id];
    const told = runs[index].memory;
    state.recall = 0;
    if (told.missing) return place.replaceChildren(element("p", { class: "missing" }, told.missing));
    const { made, parts } = panels(told, state, say);
    Object.assign(charts, made);
    place.replaceChildren(...parts);
    for (const chart of Object.values(made)) chart.redraw();
  };
  const box = element("select", { id: "memory-run", onchange: () => show(Number(box.value)) }, ...runs.map((run, k) => element("option", { value: String(k) }, run.name)));
  root.replaceChildren(...(runs.length > 1 ? [element("p", {}, element("label", { for: "memory-run" }, "Network ", box))] : []), place);
  show(0);
}

function panels(told, state, say) {
  const made = {}, now = () => told.recalls[state.recall], quiet = createView({ whole: [0, 1] });
  const redraw = () => ["memory-frames", "memory-energy", "memory-overlaps", "memory-attention"].forEach((id) => made[id]?.redraw());
  const pick = element("select", { id: "memory-pattern", onchange: () => { state.recall = Number(pick.value); redraw(); } }, ...told.recalls.map((recall, k) => element("option", { value: String(k) }, `pattern ${recall.pattern}${recall.right ? "" : " (not recalled)"}`)));
  const bar = element("p", { class: "play-controls" }, element("label", { for: "memory-pattern" }, "A fifth of its units damaged: ", pick));
  const figure = (id, options) => new Figure({ id, title: "", how: "", size: "half", keys: OWN, ...options });

  const frames = figure("memory-frames", { size: "whole", keys: "The same is told in the table" });
  made["memory-frames"] = new Drawn(frames, () => {
    const recall = now(), shown = [["stored", recall.truth], ...recall.frames.map((frame, k) => [k ? `step ${recall.at[k]}` : "cue", frame])];
    const apart = recall.frames.map((frame) => frame.reduce((sum, v, k) => sum + (Math.sign(v) !== Math.sign(recall.truth[k])), 0));
    const room = (width) => Math.min(shown.length, Math.max(2, Math.floor(width / 110)));
    return {
      title: `Pattern ${recall.pattern} is ${recall.right ? "recalled without an error" : "not recalled"}: the state ${ENDS[recall.cycle]}`,
      how: "The stored pattern, what was shown to the network, and what its units made of it step by step.",
      height: (frames.root.clientWidth ? Math.ceil(shown.length / room(frames.root.clientWidth)) : 1) * (Math.min(150, Math.floor(frames.root.clientWidth / room(frames.root.clientWidth || 1)) - 16) + 30) + 6,
      data: () => ({ pattern: recall.pattern, at: recall.at, truth: recall.truth, frames: recall.frames }),
      table: () => ({ columns: ["step", told.kind === "modern" ? "energy" : "units unlike the stored pattern", "energy"].slice(0, told.kind === "modern" ? 2 : 3), rows: recall.at.map((at, k) => [number(at), ...(told.kind === "modern" ? [] : [number(apart[k])]), number(recall.energy[at])]) }),
      paint(c, width) {
        const across = room(width), size = Math.min(150, Math.floor(width / across) - 16), [rows, columns] = sides(told.shape), tall = (size * rows) / Math.max(rows, columns);
        c.textBaseline = "top";
        c.textAlign = "left";
        shown.forEach(([name, values], k) => {
          const x = 1 + (k % across) * (size + 16), y = Math.floor(k / across) * (size + 30) + 1;
          grid(c, values, told.shape, { x, y, size, ...ends(told.kind, [recall.truth]) });
          c.fillStyle = colour("muted");
          c.fillText(name, x, y + tall + 6);
        });
      },
    };
  });

  const energy = figure("memory-energy");
  made["memory-energy"] = new Lines(energy, quiet, () => {
    const recall = now(), ways = recall.descents, steps = recall.energy.map((_, k) => k);
    const fall = recall.energy.at(-1) - recall.energy[0];
    return {
      title: ways ? `Energy falls with each of ${number(ways.asynchronous.length - 1)} units that turn` : `Energy falls by ${number(-fall)} in ${number(steps.length - 1)} steps`,
      how: ways ? "Units that turn one after the other never raise the energy (Hopfield 1982). Where all turn at once (Little 1974) it may rise, and the state may go to and fro between two." : "No step raises the energy, so the state comes to rest in a valley: a stored pattern, or a mixture of some.",
      yLabel: "energy", own: true, xLabel: ways ? "units that have turned" : "step",
      series: ways ? [{ name: "one by one", x: ways.asynchronous.map((_, k) => k), y: ways.asynchronous, colour: "s1", width: 2.25 }, { name: "all at once", x: distinct(ways.turned), y: ways.synchronous, colour: "s2", dash: [6, 4] }] : [{ name: "energy", x: steps, y: recall.energy, colour: "s1", width: 2.25 }],
    };
  }, { say });

  const overlaps = figure("memory-overlaps");
  made["memory-overlaps"] = new Lines(overlaps, quiet, () => {
    const recall = now(), x = recall.energy.map((_, k) => k), last = recall.overlaps.map((row) => row.at(-1)), best = last.indexOf(Math.max(...last));
    return {
      title: `Overlap: at the end ${number(last[best])} with pattern ${recall.near[best]}${best ? `, not with pattern ${recall.pattern}` : ""}`,
      how: `1 is the stored pattern itself, 0 as unlike it as chance, −1 its negative${told.kind === "modern" ? "" : ", which is at rest too"}. The pattern that was damaged is bold; of the others the nearest are shown.`,
      yLabel: "overlap with a stored pattern", own: true, xLabel: "step", yRange: [Math.min(-0.05, ...recall.overlaps.flat()) - 0.05, 1.05],
      series: recall.near.map((p, k) => ({ name: `pattern ${p}`, x, y: recall.overlaps[k], colour: COLOURS[k % 6], width: k ? 1.5 : 3, dash: k ? [5, 3] : undefined })),
    };
  }, { say });

  const parts = [frames.root, energy.root, overlaps.root];
  if (told.kind === "modern") {
    const last = () => now().attention.length - 1, slider = element("input", { type: "range", id: "memory-step", min: "0", value: "0", oninput: () => made["memory-attention"].redraw() });
    const attention = figure("memory-attention", { keys: "The slider goes from step to step", controls: [element("label", { for: "memory-step" }, "step ", slider)] });
    made["memory-attention"] = new Bars(attention, () => {
      slider.max = String(last());
      const k = Math.min(Number(slider.value), last()), recall = now(), shares = recall.attention[k], rest = Math.max(0, 1 - shares.reduce((a, b) => a + b, 0));
      return {
        title: `Attention in step ${number(recall.at[k])}: ${percent(shares[0])} on pattern ${recall.pattern}`,
        how: "A step replaces the state by the mean of all stored patterns, each weighed by its share. It is the attention of a transformer.",
        items: [...recall.near.map((p, n) => ({ name: `pattern ${p}`, value: shares[n], strong: !n })), { name: "all others", value: rest }], format: percent, least: 1,
      };
    });
    parts.push(attention.root);
  }

  const noise = figure("memory-noise");
  made["memory-noise"] = new Lines(noise, quiet, () => {
    const held = told.noise.filter((row) => row.right >= 0.9).at(-1);
    return {
      title: held ? `Nine in ten patterns come back whole with up to ${percent(held.noise)} of their units damaged` : "Fewer than nine in ten patterns stay whole even undamaged",
      how: "Of the stored patterns: how many are recalled without an error, and how alike the recalled ones are on average, by how much was damaged.",
      yLabel: "share, and overlap", own: true, xLabel: "damaged units", xNames: (v) => `${number(v)} %`, yRange: [Math.min(0, ...told.noise.map((r) => r.overlap)) - 0.02, 1.03],
      series: [{ name: "recalled without an error", x: told.noise.map((r) => 100 * r.noise), y: told.noise.map((r) => r.right), colour: "s1", width: 2.25 }, { name: "mean overlap", x: told.noise.map((r) => 100 * r.noise), y: told.noise.map((r) => r.overlap), colour: "s3", dash: [6, 4] }],
    };
  }, { say });
  parts.push(noise.root);

  if (told.capacity) {
    const capacity = figure("memory-capacity", { keys: RASTER_HELP.replace(", Enter pins it", "") }), view = createView({ column: 0, row: 0 }), { loads, noises, found, missing } = told.capacity;
    const half = missing ? null : loads.findLast((_, k) => found[0][k] >= 0.5);
    const chart = (made["memory-capacity"] = new Raster(capacity, view, () => {
      if (missing) return { empty: missing };
      return {
        title: half == null ? "Of random patterns even few are lost" : `Half of random patterns are found up to a load of ${number(half)}`,
        how: `How many of random patterns the same rule finds in ${number(told.capacity.units)} units, by how many are stored (the load) and how much of the cue is damaged. Bright: all; dark: none. For very large networks the hebbian rule's edge without damage is known to lie at 0.138.`,
        columns: loads.length, rows: noises.length, value: (column, row) => found[noises.length - 1 - row][column], range: [0, 1], ramp: "sequential", yLabel: "damaged units", xLabel: "patterns a unit (load)",
        columnName: (k) => number(loads[k]), rowName: (row) => percent(noises[noises.length - 1 - row]), rowWord: "damaged", spot: (k) => `load ${number(loads[k])}`, format: percent, unit: "found",
        here: () => view.state, to: (column, row) => ({ column, row }),
      };
    }, { height: 280, say, spans: false }));
    view.listen(() => chart.follow());
    parts.push(capacity.root);
  }
  return { made, parts: [bar, element("div", { class: "charts" }, ...parts)] };
}

// A chart has one value at each x: where a step turned no unit, its place is a little further.
const distinct = (xs) => xs.reduce((all, x) => [...all, all.length && x <= all.at(-1) ? all.at(-1) + 0.001 : x], []);
