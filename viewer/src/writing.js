// What a network that writes wrote at each look, the newest first: plain text, to be read and copied.

import { element } from "./figure.js";
import { number } from "./words.js";

const HOW = "The same begin and the same random numbers at every look, so that what changes is the network. The newest stands first.";

export function writingPanel(run, charts) {
  const heading = element("h3", {}, ""), list = element("ol", { class: "written", tabindex: "0", "aria-label": "What it wrote" });
  const root = element("figure", { class: "chart chart-whole", id: "chart-writing" }, element("div", { class: "head" }, heading), list, element("figcaption", { class: "how" }, HOW));
  charts.writing = {
    get data() {
      return run().said;
    },
    redraw() {
      const { said, epochs } = run();
      root.hidden = !said.length;
      if (!said.length) return;
      const before = (step) => epochs.val[epochs.step.findLastIndex((s) => s <= step)];
      heading.textContent = `What it writes at step ${number(said.at(-1).step)}, and wrote before`;
      list.replaceChildren(
        ...said.toReversed().map(({ step, text }) => {
          const loss = before(step);
          return element("li", {}, element("span", {}, `step ${number(step)}`, ...(loss == null ? [] : [element("br"), `validation ${number(loss)}`])), element("pre", {}, text));
        }),
      );
    },
    zoomed() {},
    follow() {},
  };
  return root;
}
