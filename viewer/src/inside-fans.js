// The forecasts of the test part, each as it was issued: a strip of all of them, the fan of the chosen one, and what their errors tell.

import { part, unpack } from "./inside-data.js";
import { number, percent } from "./words.js";

const clean = (values) => [...values].map((v) => (Number.isNaN(v) ? null : v));

export function fanPanel(room) {
  const { view, run } = room, fans = run.fans;
  if (!fans) return null;
  if (fans.missing) return [];
  const [y, forecast, past] = [fans.y, fans.forecast, fans.past].map(unpack), bands = fans.bands.map((band) => ({ ...band, low: unpack(band.low), high: unpack(band.high) }));
  const H = fans.horizon, P = past.shape[1], x = fans.cutoffs.map((_, k) => k), from = fans.others ? `, of ${fans.series}, the first of ${fans.others + 1} series` : "";
  const errors = x.map((k) => mean(clean(part(forecast, k)).map((v, h) => (v == null || Number.isNaN(part(y, k)[h]) ? null : Math.abs(v - part(y, k)[h])))));
  const largest = errors.indexOf(Math.max(...errors.map((e) => e ?? -1)));
  const chosen = () => view.state.window ?? Math.max(0, largest);
  const parts = [];

  parts.push(room.lines("backtest", () => ({
    own: true, xLabel: "forecast issued at", xNames: (k) => fans.cutoffs[k] ?? "", xSpace: 100,
    title: `All ${number(fans.count)} forecasts of the test part${from}: off by ${number(mean(errors))} on average, by ${number(errors[largest])} at ${fans.cutoffs[largest]}`,
    how: `Each point is one forecast of ${H} steps${fans.every > 1 ? `, every ${fans.every}th is shown` : ""}; its height is how far off it was on average. A click, or Enter at the point under the arrow keys, shows that forecast below.`,
    yLabel: `mean error (${fans.target})`, series: [{ name: "mean error", x, y: errors, colour: "s2", width: 1.25 }, { name: "shown below", x: [chosen()], y: [errors[chosen()]], colour: "ink", kind: "dot", size: 10 }],
    onPick: (k) => view.set({ window: k }),
  }), { size: "whole", height: 170, own: true, anew: ["window"] }));

  parts.push(room.lines("fan", () => {
    const k = chosen(), ahead = Array.from({ length: H }, (_, h) => h + 1), back = Array.from({ length: P }, (_, i) => i + 1 - P);
    const [first, last] = fans.times[k], series = [], shades = [];
    for (const { level, low, high } of bands) {
      series.push({ name: `low end, ${level} %`, x: ahead, y: clean(part(low, k)), colour: "s1", width: 0.75, alpha: 0.6, quiet: bands.length > 1 }, { name: `high end, ${level} %`, x: ahead, y: clean(part(high, k)), colour: "s1", width: 0.75, alpha: 0.6, quiet: bands.length > 1 });
      shades.push({ low: `low end, ${level} %`, high: `high end, ${level} %`, colour: "s1", alpha: 0.16 });
    }
    const known = clean(part(past, k)), came = clean(part(y, k)), widest = bands.at(-1);
    const held = widest ? came.filter((v, h) => v != null && v >= part(widest.low, k)[h] && v <= part(widest.high, k)[h]).length : 0;
    series.push({ name: "known by then", x: back, y: known, colour: "ink", width: 1.75 }, { name: "what came", x: [0, ...ahead], y: [known.at(-1), ...came], colour: "ink", dash: [2, 4], width: 1.75 }, { name: "forecast", x: ahead, y: clean(part(forecast, k)), colour: "s1", width: 2.5 });
    return {
      own: true, xLabel: `steps from the cut-off, ${fans.cutoffs[k]}`, xNames: (at) => (Number.isInteger(at) && at <= H ? (at > 0 ? "+" : "") + number(at) : ""),
      title: `Forecast issued at ${fans.cutoffs[k]}, for ${first}${H > 1 ? ` to ${last}` : ""}: off by ${number(errors[k])} on average${widest ? `; ${held} of ${came.filter((v) => v != null).length} values lie inside the ${widest.level} % interval` : ""}`,
      how: `Left of the rule is what was known, right of it the forecast; dotted is what came.${bands.length ? ` The shades are the intervals of ${bands.map((b) => `${b.level} %`).join(" and ")}: the darker, the surer.` : ""}`,
      yLabel: fans.target, series, bands: shades, uprights: [{ x: 0.5, name: "cut-off" }],
    };
  }, { size: "whole", height: 260, own: true, anew: ["window"] }));

  if (fans.ranks) {
    const { edges, counts } = fans.ranks, all = counts.reduce((a, b) => a + b, 0), density = counts.map((count, k) => count / all / (edges[k + 1] - edges[k]));
    parts.push(room.lines("pit", () => {
      const fine = 40, at = Array.from({ length: fine + 1 }, (_, k) => (100 * k) / fine), bin = (u) => Math.min(counts.length - 1, edges.findIndex((edge, k) => u / 100 >= edge - 1e-9 && (k === counts.length || u / 100 < edges[k + 1] - 1e-9)));
      return {
        own: true, xLabel: "quantile at which the forecast had what came", xNames: (u) => (u >= 0 && u <= 100 ? percent(u / 100) : ""),
        title: `Where the truth fell: ${percent(round(counts[0] / all))} below the ${percent(edges[1])} quantile, ${percent(round(counts.at(-1) / all))} above the ${percent(edges.at(-2))} quantile`,
        how: "A histogram of where the measured values fell among the forecast's quantiles (probability integral transform), over all lead times. Flat at 1 is calibrated; high at both ends, the intervals are too narrow; high in the middle, too wide; sloping, the forecasts lean to one side.",
        yLabel: "how often, beside how often it should be", yRange: [0, Math.max(2, 1.1 * Math.max(...density))], rules: [{ y: 1, name: "as promised" }],
        series: [{ name: "share of values / share promised", x: at, y: at.map((u) => density[bin(u)]), colour: "s1", kind: "step" }],
      };
    }, { own: true }));
    room.chart("pit").extra = { edges, counts };
  }

  parts.push(room.lines("acf", () => {
    const lags = fans.acf.map((_, k) => k + 1), band = 1.96 / Math.sqrt(fans.count);
    if (!lags.length) return { title: "What is left in the errors", empty: "There are too few forecasts to tell whether their errors go together." };
    const outside = fans.acf.filter((v) => v != null && Math.abs(v) > band).length;
    return {
      own: true, xLabel: "lag (steps)", title: `What is left in the errors: one step ahead, ${outside} of ${lags.length} autocorrelations are beyond chance`,
      how: "How much an error of the forecast for the next step tells of the errors so many steps later. Within the rules it may be chance; far above, the network misses something that could be learnt.",
      yLabel: "autocorrelation", yRange: [Math.min(-0.25, ...fans.acf) - 0.05, 1], rules: [{ y: band, name: "chance" }, { y: -band }, { y: 0 }],
      series: [{ name: "autocorrelation", x: lags, y: fans.acf, colour: "s3", kind: "bar" }],
    };
  }, { own: true }));
  return parts;
}

const round = (share) => Math.round(1000 * share) / 1000;

function mean(values) {
  const known = values.filter((v) => v != null);
  return known.length ? known.reduce((a, b) => a + b, 0) / known.length : null;
}
