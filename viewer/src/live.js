// The strip that says where a run stands. On a page that a server gave it also has the buttons, and what to do with new numbers;
// connect.js, which such a page has beside this, gets them.

import { element } from "./figure.js";
import { sayWords } from "./said.js";
import { number } from "./words.js";

const STEPS = ["loss", "grad_norm", "lr", "clip", "clipped", "steps", "constant", "status", "last"];
const QUIET = 30; // seconds without news, after which the strip says so

// `changed(k, {stepsOnly})` is called when the numbers of run k are new.
export function liveStrip(record, view, changed) {
  const live = record.live, waiting = new Map();
  const asked = new Map(); // by run: "sent", or why it can't be stopped
  let paused = false, state = live ? "connecting" : "", reloading = false;
  const list = element("dl", { class: "status", id: "status" });
  const follow = element("button", { type: "button", id: "follow", "aria-pressed": "true", onclick: () => setPaused(!paused) }, "Pause");
  const stop = element("button", { type: "button", id: "stop", title: "Training ends with this step and saves a checkpoint", onclick: () => askToStop() }, "Stop training");
  const word = element("span", { class: "link", role: "status" });
  const controls = element("div", { class: "live-tools", hidden: !live }, word, follow, stop);
  const root = element("div", { class: "status-strip" }, list, controls);

  function redraw() {
    const run = record.runs[view.state.run], { status } = run, updated = status.updated ?? live?.updated[view.state.run], quiet = updated ? Date.now() / 1000 - updated : 0;
    const alerts = document.querySelectorAll(`#training .run-words[data-run="${view.state.run}"] .alerts li`).length;
    const items = [
      ["State", stateOf(status, quiet, live)],
      ["Step", number(run.last)],
      ["Epoch", status.epochs == null ? number(status.epoch) : `${number(status.epoch)} of ${number(status.epochs)}`],
      ["Pace", status.rate == null ? "–" : `${number(status.rate)} steps/s`],
      [status.state === "open" ? "Time left, at most" : "Took", status.state === "open" ? duration(status.left) : duration(status.seconds)],
      ["Best validation", number(status.best)],
      ["Alerts", number(alerts)],
    ];
    list.replaceChildren(...items.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))));
    follow.textContent = paused ? (waiting.size || reloading ? "Resume: there is news" : "Resume") : "Pause";
    follow.setAttribute("aria-pressed", String(!paused));
    if (status.state !== "open") asked.delete(view.state.run);
    const answer = asked.get(view.state.run);
    stop.hidden = status.state !== "open" || !live?.stop;
    stop.textContent = answer === "sent" ? "Asked to stop" : "Stop training";
    stop.disabled = answer === "sent";
    word.textContent = answer && answer !== "sent" ? answer : { connecting: "Connecting", lost: "Connection lost, trying again", on: paused ? "Paused" : "Following" }[state] ?? "";
    word.dataset.state = paused ? "paused" : state;
  }

  function setPaused(on) {
    paused = on;
    if (!paused) {
      if (reloading) return location.reload();
      for (const news of waiting.values()) apply(news);
      waiting.clear();
    }
    redraw();
  }

  async function askToStop() {
    const run = view.state.run, tell = (answer) => asked.set(run, answer);
    if (paused) setPaused(false); // else the page would never show that it has stopped
    try {
      const answer = await link.post(`stop/${run}`);
      tell(answer.ok ? "sent" : `It can't be stopped: ${await answer.text()}`);
    } catch {
      tell("It can't be stopped: the server does not answer");
    }
    redraw();
  }

  // Numbers replace those before; of snapshots there come the new ones and the steps of all that are kept.
  function apply(news) {
    const run = record.runs[news.run];
    Object.assign(run, news.parts);
    if (news.snapshots) {
      const known = new Map([...(run.snapshots ?? []), ...news.snapshots.add].map((snapshot) => [snapshot.step, snapshot]));
      run.snapshots = news.snapshots.keep.map((step) => known.get(step)).filter(Boolean);
    }
    if (news.words) {
      const words = document.querySelector(`#training .run-words[data-run="${news.run}"]`);
      if (words) sayWords(words, news.words);
    }
    changed(news.run, { stepsOnly: !news.snapshots && Object.keys(news.parts).every((part) => STEPS.includes(part)), words: Boolean(news.words) });
  }

  const link = live && {
    get id() {
      return live.id;
    },
    page: live.page,
    received(id, text) {
      live.id = id;
      for (const news of JSON.parse(text)) {
        if (!paused) apply(news);
        else waiting.set(news.run, merged(waiting.get(news.run), news));
      }
      redraw();
    },
    is(now) {
      state = now;
      redraw();
    },
    reload() {
      reloading = true;
      if (!paused) location.reload();
      redraw();
    },
  };
  if (live) setInterval(redraw, 5000);
  return { root, redraw, link };
}

function merged(before, news) {
  if (!before) return news;
  const add = [...(before.snapshots?.add ?? []), ...(news.snapshots?.add ?? [])], snapshots = news.snapshots ?? before.snapshots;
  return { run: news.run, parts: { ...before.parts, ...news.parts }, words: news.words ?? before.words, snapshots: snapshots && { keep: snapshots.keep, add } };
}

function stateOf(status, quiet, live) {
  if (status.state === "ended") return `Finished: ${status.reason || "no reason recorded"}`;
  if (status.state === "broken") return "Broke off";
  if (!live) return "Not finished when this page was made";
  return quiet > QUIET ? `No news for ${duration(quiet)}` : "Training";
}

export function duration(seconds) {
  if (seconds == null) return "–";
  if (seconds < 90) return `${number(seconds < 10 ? Number(seconds.toFixed(1)) : Math.round(seconds))} s`;
  if (seconds < 5400) return `${number(Math.round(seconds / 60))} min`;
  return `${number(Number((seconds / 3600).toPrecision(2)))} h`;
}
