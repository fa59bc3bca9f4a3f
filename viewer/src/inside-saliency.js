// S9, which steps did how much for one output: three ways to ask, and the check of the sum.

import { element } from "./figure.js";
import { visible } from "./inside-data.js";
import { number } from "./words.js";

const METHODS = {
  integrated: ["integrated gradients", "Summed along the way from an input of zeros to this one, so that all bars together are what the output differs by."],
  gradient: ["gradient × input", "How the output would change if the step's numbers grew a little, times these numbers. Quick, but blind where a gate is shut."],
  occlusion: ["occlusion", "What the output loses when the step's numbers are set to zero. The bars need not add up."],
};

export function saliencyPanel(room) {
  const { seen, view } = room, n = () => view.state.sequence;
  if (!seen.targets[0]?.length) return null;
  const target = () => seen.targets[n()][view.state.target];
  const named = ([step, output]) => `${visible(seen.outputs[output])} at ${seen.spot(n(), seen.first + step)}`;
  const bars = () => {
    const { shape, values } = seen.saliency[view.state.method], T = shape[2], from = (n() * shape[1] + view.state.target) * T;
    return [...values.subarray(from, from + T)];
  };
  const method = element("select", { id: "inside-method", onchange: (event) => view.set({ method: event.target.value }) }, ...Object.entries(METHODS).map(([key, [name]]) => element("option", { value: key }, name)));
  const choose = element("select", { id: "inside-target", onchange: (event) => view.set({ target: Number(event.target.value) }) });
  const controls = [element("label", { for: "inside-target" }, "output ", choose), element("label", { for: "inside-method" }, "by ", method)];
  const check = element("p", { class: "how check", id: "inside-check" });

  function words() {
    choose.replaceChildren(...seen.targets[n()].map((one, k) => element("option", { value: String(k) }, named(one))));
    choose.value = String(view.state.target);
    method.value = view.state.method;
    const all = bars(), sum = all.reduce((a, b) => a + b, 0), top = all.map(Math.abs), most = top.indexOf(Math.max(...top));
    const { value, baseline, delta } = seen.saliency, [v, b, d] = [value, baseline, delta].map((of) => of[n()][view.state.target]);
    check.textContent = view.state.method === "integrated"
      ? `Check: the bars add up to ${number(sum, 4)}${seen.skipped ? `, with ${number(v - b + d - sum, 4)} of the steps before, which are not shown` : ""}; the output is ${number(v, 4)}, and ${number(b, 4)} for an input of zeros, a difference of ${number(v - b, 4)}. The sum is off by ${number(d, 2)}.`
      : `The bars add up to ${number(sum, 4)}; the output differs from that of an input of zeros by ${number(v - b, 4)}. Only integrated gradients promise that these agree.`;
    return {
      all, most: Math.max(...top),
      title: `Saliency: for ${named(target())}, ${seen.spot(n(), most)} did most (${number(all[most])})`,
      how: `${METHODS[view.state.method][1]} Above zero (red) a step raised the output, below (blue) it lowered it; in the network's own scale.`,
    };
  }

  const anew = ["method", "target"];
  const root = seen.isText
    ? room.strip("inside-saliency", () => {
        const { all, most, title, how } = words();
        return { title, how, words: all.map((_, t) => seen.word(n(), t)), values: all, range: [-most, most], bars: true, note: (t) => `${seen.spot(n(), t)}: ${number(all[t])}` };
      }, { size: "whole", controls, anew })
    : room.lines("inside-saliency", () => {
        const { all, title, how } = words(), x = all.map((_, t) => t);
        return { title, how, yLabel: "change of the output", series: [
          { name: "raised the output", x, y: all.map((v) => (v >= 0 ? v : null)), colour: "s2", kind: "bar" },
          { name: "lowered it", x, y: all.map((v) => (v < 0 ? v : null)), colour: "s1", kind: "bar" },
        ] };
      }, { size: "whole", height: 210, controls, anew });
  root.append(check);
  return [root];
}
