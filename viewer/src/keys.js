// What the keyboard does on a chart whose x is the training step; the same on all of them.

import { nearest } from "./record.js";

export const HELP = "Arrow keys move the cursor, Home and End go to the ends, + and − zoom, 0 shows all steps again";

export function onStepKeys(view, steps, say) {
  return (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { step, range, whole } = view.state, xs = steps();
    if (!xs.length) return;
    const [low, high] = range ?? whole, here = nearest(xs, step ?? low);
    const first = xs.findIndex((x) => x >= low), last = xs.findLastIndex((x) => x <= high);
    const go = (index) => view.set({ step: xs[Math.min(last < 0 ? xs.length - 1 : last, Math.max(first < 0 ? 0 : first, index))] });
    const move = event.shiftKey ? 10 : 1;
    if (event.key === "ArrowLeft") go(here - move);
    else if (event.key === "ArrowRight") go(step == null ? first : here + move);
    else if (event.key === "Home") go(first);
    else if (event.key === "End") go(last);
    else if (event.key === "+" || event.key === "=") zoom(view, 0.5);
    else if (event.key === "-") zoom(view, 2);
    else if (event.key === "0" || event.key === "Escape") view.set({ range: null });
    else return;
    event.preventDefault();
    say?.();
  };
}

// Halve or double the range of steps around the cursor; never beyond what was recorded.
export function zoom(view, factor) {
  const { range, whole, step } = view.state, [low, high] = range ?? whole;
  const centre = Math.min(high, Math.max(low, step ?? (low + high) / 2)), wide = (high - low) * factor;
  if (wide >= whole[1] - whole[0]) return view.set({ range: null });
  if (wide < 4) return;
  const from = Math.min(Math.max(whole[0], centre - wide / 2), whole[1] - wide);
  view.set({ range: [from, from + wide] });
}

export function zoomTo(view, a, b) {
  const [low, high] = view.state.whole, from = Math.max(low, Math.min(a, b)), to = Math.min(high, Math.max(a, b));
  if (to - from >= 1e-9) view.set({ range: [from, to] });
}
