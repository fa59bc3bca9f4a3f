// The words about a run, made anew from what Python says of it: the same as page.html writes.

import { element } from "./figure.js";

export function sayWords(root, words) {
  const findings = words.findings.map((finding) => element(
    "div", { class: "finding" },
    element("h4", {}, finding.illness), element("p", {}, finding.sentence),
    element("p", { class: "how" }, "What may cure it, the likeliest first:"),
    element("ol", {}, ...finding.cures.map((cure) => element("li", {}, cure))),
  ));
  const alerts = words.alerts.map((alert) => element("li", { "data-step": String(alert.step), "data-kind": alert.kind }, element("b", {}, `Step ${alert.step}`), ` ${alert.words}`));
  root.querySelector(".diagnosis").replaceChildren(element("h3", {}, "What the record says"), ...(words.note ? [element("p", { class: "note" }, words.note)] : []), ...findings);
  root.querySelector(".alerts").replaceChildren(element("h3", {}, "Alerts"), alerts.length ? element("ol", {}, ...alerts) : element("p", { class: "note" }, "None: no step stands out."));
}
