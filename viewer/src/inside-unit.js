// S7, the lens on one unit: what it does along the sequence, where in the data it is highest, and which outputs it speaks for.

import { Bars } from "./bars.js";
import { visible } from "./inside-data.js";
import { Snippets } from "./inside-snippets.js";
import { Tinted } from "./tinted.js";
import { number } from "./words.js";

export function unitPanel(room) {
  const { seen, view } = room, layer = room.layer, n = () => view.state.sequence;
  const line = () => layer().line(layer().h, n(), view.state.unit);
  const top = () => layer().h.values.reduce((most, v) => Math.max(most, Math.abs(v)), 1e-9);
  const unit = () => room.unitName(view.state.unit);
  const words = () => {
    const y = line(), high = y.indexOf(Math.max(...y)), low = y.indexOf(Math.min(...y));
    return {
      title: `What unit ${unit()} does: highest after ${seen.spot(n(), high)} (${number(y[high])}), lowest after ${seen.spot(n(), low)} (${number(y[low])})`,
      how: `${seen.isText ? "The text" : "The first series"}, coloured by the unit's hidden state: red positive, blue negative. Another unit is chosen with the list above, or a click on a raster.`,
    };
  };
  const parts = [];
  if (seen.isText)
    parts.push(room.strip("inside-lens", () => ({ ...words(), words: line().map((_, t) => seen.word(n(), t)), values: line(), range: [-top(), top()], note: (t) => `${seen.spot(n(), t)}: h = ${number(line()[t])}` }), { size: "whole", anew: ["unit"] }));
  else {
    const figure = room.figure("inside-lens", { size: "whole" });
    parts.push(room.add("inside-lens", new Tinted(figure, room, () => {
      const truth = seen.known(n());
      return { ...words(), y: seen.series(n(), 0).map((v, t) => v ?? truth?.[t] ?? null), tint: line(), range: [-top(), top()], yLabel: seen.inputs[0] };
    }), ["unit"]));
  }

  const fires = room.figure("inside-fires", { size: layer().favoured ? "wide" : "whole" });
  parts.push(room.add("inside-fires", new Snippets(fires, room, () => {
    const { spans, peaks } = layer(), u = view.state.unit;
    const items = spans[u].map(([sequence, t], k) => ({ sequence, from: t, to: t, value: peaks[u][k] })).filter(({ sequence }) => sequence >= 0 && sequence < seen.labels.length);
    if (!items.length) return { title: `Where unit ${unit()} is highest`, empty: "None of the places where it is highest fits into this page." };
    return { title: `Where unit ${unit()} is highest: ${number(items[0].value)} in ${seen.labels[items[0].sequence]}`, how: "The places in all recorded sequences where the unit's hidden state was highest, with what stood around them. What they have in common is what the unit looks for. A click goes there.", items, word: "h" };
  }), ["unit"]));

  if (seen.layers.some((l) => l.favoured)) {
    const figure = room.figure("inside-favours", { size: "side" });
    parts.push(room.add("inside-favours", new Bars(figure, () => {
      const { favoured, favoured_weights: weights } = layer();
      if (!favoured) return { title: "What the unit speaks for", empty: "This layer does not feed the outputs itself." };
      const items = favoured[view.state.unit].map((id, k) => ({ name: visible(seen.outputs[id]), value: weights[view.state.unit][k] }));
      return { title: `What unit ${unit()} speaks for: most of all ${items[0].name}`, how: "The outputs' weights from this unit: where it is high, outputs with positive weights rise and those with negative ones fall.", items };
    }), ["unit"]));
  }
  return parts;
}
