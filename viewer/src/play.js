// Section 4, Play: the trained network itself runs in the page.

import { element } from "./figure.js";
import { forecastCharts } from "./play_forecast.js";
import { languageCharts } from "./play_language.js";
import { memoryCharts } from "./play_memory.js";
import { number } from "./words.js";

const MAKE = { forecast: forecastCharts, language: languageCharts, memory: memoryCharts };

// Adds its charts to `charts`. Of several networks one is shown, which the chooser picks.
export function playSection(record, charts, say) {
  const root = document.getElementById("play-charts"), found = record.play ?? [];
  if (!root) return;
  const able = found.filter((spec) => MAKE[spec.kind]);
  if (!able.length) return root.replaceChildren(element("p", { class: "missing" }, found[0]?.missing ?? "No run has a network to play with."));
  const place = element("div", {});
  const show = (index) => {
    for (const id of Object.keys(charts)) if (id.startsWith("play-")) delete charts[id];
    const made = MAKE[able[index].kind](able[index], say);
    Object.assign(charts, made.charts);
    place.replaceChildren(...made.parts);
    for (const chart of Object.values(made.charts)) chart.redraw();
  };
  const box = element("select", { id: "play-run", onchange: () => show(Number(box.value)) }, ...able.map((spec, index) => element("option", { value: String(index) }, spec.name)));
  root.replaceChildren(...(able.length > 1 ? [element("p", {}, element("label", { for: "play-run" }, "Network ", box))] : []), place);
  show(0);
}

// What halves cost in words, from the numbers that Python measured.
export function rounding(spec) {
  const whole = `The ${number(spec.parameters)} weights travel in this page as halves, 2 bytes each, so they are rounded to about three digits`;
  const told = spec.rounding;
  if (told?.bits?.every((bits) => bits != null)) return `${whole}. Over ${number(told.characters)} characters of a text that it was not trained on, the network in the page needs ${told.bits[1].toFixed(4)} bits a character, with the weights as trained ${told.bits[0].toFixed(4)}.`;
  if (told?.most != null) return `${whole}. On the windows below that moves no point forecast by more than ${number(told.most)}, in the unit of the target.`;
  return `${whole}; what that costs was not measured.`;
}
