// S1, the input: the words that were read, or the series.

import { number } from "./words.js";

const EXTRA = ["whole", "half", "side"]; // of one, two or three more series
const COLOURS = ["ink", "s1", "s3", "s5"];

export function inputPanel(room) {
  const { seen, view } = room;
  const n = () => view.state.sequence;
  if (seen.isText)
    return [room.strip("inside-input", () => ({
      title: `Input: ${seen.steps} ${seen.glue ? "words" : "letters"} of ${seen.labels[n()]}`,
      how: "What the network read, one by one. A click puts the cursor there.",
      words: Array.from({ length: seen.steps }, (_, t) => seen.word(n(), t)), values: null, note: (t) => `step ${t + 1}: ${seen.place(n(), t)}`,
    }), { size: "whole" })];
  return seen.inputs.slice(0, 4).map((name, k) =>
    room.lines(k ? `inside-input-${k}` : "inside-input", () => {
      const y = seen.series(n(), k), known = y.filter((v) => v != null), x = y.map((_, t) => t);
      const series = [{ name, x, y, colour: COLOURS[k] }], truth = k ? null : seen.known(n());
      if (truth && seen.first) series.push({ name: "measured later", x, y: truth, colour: "ink", dash: [2, 4] });
      const range = known.length ? `from ${number(Math.min(...known))} to ${number(Math.max(...known))}` : "never known";
      return {
        title: `Input: ${name}, ${range} over ${known.length} steps`,
        how: k ? "Read at every step beside the series above." : `What the network read, one step after the other${seen.first ? "; the dotted line it does not get to know" : ""}. A click puts the cursor there.`,
        yLabel: name, series,
      };
    }, { size: k ? EXTRA[Math.min(4, seen.inputs.length) - 2] : "whole", height: k ? 140 : 190 }),
  );
}
