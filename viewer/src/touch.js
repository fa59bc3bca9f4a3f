// Fingers on a chart: one that moves sideways moves the cursor, two zoom in and out and shift the range. Up and down still scroll.

import { nearest } from "./record.js";

export function onTouch(plot, view, { stepAt, places }) {
  const fingers = new Map();
  let held = null; // the steps under both fingers when the second came down
  const step = (x) => stepAt(x - plot.getBoundingClientRect().left);

  plot.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "touch") return;
    fingers.set(event.pointerId, event.clientX);
    held = fingers.size === 2 ? [...fingers.values()].map(step) : null;
  });
  plot.addEventListener("pointermove", (event) => {
    if (!fingers.has(event.pointerId)) return;
    fingers.set(event.pointerId, event.clientX);
    if (held && fingers.size === 2) pinch();
    else if (fingers.size === 1) {
      const xs = places(), at = step(event.clientX);
      if (xs.length && Number.isFinite(at)) view.set({ step: xs[nearest(xs, at)] });
    }
  });
  for (const kind of ["pointerup", "pointercancel", "pointerleave"])
    plot.addEventListener(kind, (event) => {
      fingers.delete(event.pointerId);
      held = null;
    });

  // The range at which the two steps lie under the two fingers again.
  function pinch() {
    const box = plot.getBoundingClientRect(), [low, high] = view.state.range ?? view.state.whole, now = [...fingers.values()].map(step);
    const wide = now[1] - now[0], factor = (held[1] - held[0]) / wide;
    if (!box.width || Math.abs(wide) < 1e-9 || !(factor > 0)) return;
    const [first, last] = view.state.whole, size = Math.max(4, (high - low) * factor);
    if (size >= last - first) return view.set({ range: null });
    const from = Math.min(last - size, Math.max(first, held[0] - (now[0] - low) * factor));
    view.set({ range: [from, from + size] });
  }
}
