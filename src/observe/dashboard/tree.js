// The supervision tree: one row an actor, with its history and controls inside.

import { h, keep, mark, say, svg, the } from "./dom.js";
import { ago, left, number, rate, span, tone } from "./format.js";
import { order, unlocked } from "./controls.js";

const open = new Set();

export function showTree(snapshot) {
  keep(the("tree"), snapshot.actors, (actor) => actor.path, make, (item, actor) => update(item, actor, snapshot));
}

function make(actor) {
  const inside = `inside-${actor.name}`;
  const row = h("button", { type: "button", class: "row", "aria-expanded": "false", "aria-controls": inside, onclick: toggle },
    h("span", { class: "name", text: actor.name }),
    h("span", { class: "state" }, h("span", { class: "pill" }), h("span", { class: "why" })),
    h("span", { class: "sparkbox" }, sparkline()),
    h("span", { class: "n rate", "data-label": "a second" }),
    h("span", { class: "n lag", "data-label": "waiting" }),
    h("span", { class: "n restarts", "data-label": "restarts" }));
  const item = h("li", {}, row, h("div", { class: "inside", id: inside, hidden: "" }, h("dl"), h("ul", { class: "exits" }), buttons(actor.name)));
  function toggle() {
    if (!open.delete(actor.path)) open.add(actor.path);
    showOpen(item, actor);
  }
  return item;
}

function showOpen(item, actor) {
  const isOpen = open.has(actor.path);
  mark(item.firstElementChild, "aria-expanded", isOpen);
  item.lastElementChild.hidden = !isOpen;
}

function buttons(name) {
  const button = (what, label) => h("button", { type: "button", class: "quiet", "data-order": what, text: label, onclick: () => order(name, what) });
  return h("p", { class: "buttons" }, button("restart", "Restart"), button("pause", "Pause"), button("resume", "Resume"), h("span", { class: "hint" }));
}

function update(item, actor, snapshot) {
  const now = snapshot.at;
  mark(item, "data-state", actor.state);
  mark(item, "data-tone", tone(actor.state, actor.reason));
  mark(item, "data-kind", actor.kind);
  mark(item, "data-depth", actor.depth);
  mark(item, "data-actor", actor.name);
  say(item.querySelector(".pill"), actor.state);
  const rest = left(actor.until, now);
  say(item.querySelector(".why"), [actor.reason, rest].filter(Boolean).join(", "));
  draw(item.querySelector(".spark"), actor.throughput?.history ?? []);
  figure(item.querySelector(".rate"), actor.throughput && rate(actor.throughput.per_second));
  figure(item.querySelector(".lag"), actor.lag === null ? null : number(actor.lag));
  const restarts = item.querySelector(".restarts");
  figure(restarts, actor.restarts ? number(actor.restarts) : null);
  restarts.classList.toggle("hot", actor.restarts > 0);
  showOpen(item, actor);
  if (open.has(actor.path)) showInside(item.lastElementChild, actor, snapshot);
}

function figure(element, text) {
  say(element, text ?? "");
  element.classList.toggle("zero", text === "0");
}

function showInside(inside, actor, snapshot) {
  const now = snapshot.at;
  const facts = [["in this state for", span(now - actor.since)], ["incarnation", String(actor.generation)]];
  if (actor.kind === "worker") facts.push(["last sign of life", `${actor.heartbeat_age_s.toFixed(1)} s ago`]);
  if (actor.throughput) facts.push(["messages finished", number(actor.throughput.total)]);
  if (actor.abandoned_threads) facts.push(["threads left behind", String(actor.abandoned_threads)]);
  keep(inside.querySelector("dl"), facts, (fact) => fact[0], (fact) => h("div", {}, h("dt", { text: fact[0] }), h("dd")),
    (line, fact) => say(line.lastElementChild, fact[1]));
  const exits = actor.exits.slice(-6).reverse();
  keep(inside.querySelector(".exits"), exits, (exit) => `${exit.generation}-${exit.at}`,
    (exit) => h("li", {}, h("time"), h("span", { class: "kind", text: exit.kind }), h("span", { text: exit.reason })),
    (line, exit) => say(line.firstElementChild, ago(exit.at, now)));
  const may = snapshot.controls && unlocked();
  const why = snapshot.controls ? "Unlock the controls above to use these." : "Controls are off: no token is configured (observe.token).";
  const can = (what) => what === "restart" ? actor.depth > 0 : actor.pausable;
  for (const button of inside.querySelectorAll("button")) button.disabled = !may || !can(button.dataset.order);
  say(inside.querySelector(".buttons .hint"), may ? "" : why);
}

const WIDTH = 150, HEIGHT = 26;

function sparkline() {
  return svg("svg", { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("path", { class: "fill", d: "" }), svg("path", { class: "line", d: "" }));
}

/** Newest at the right edge, 90 seconds wide; the height is relative to the highest value shown. */
function draw(spark, history) {
  const [fill, line] = spark.children;
  const highest = Math.max(...history, 0);
  if (history.length < 2 || highest === 0) {
    const flat = history.length ? `M0 ${HEIGHT - 1.5}H${WIDTH}` : "";
    mark(line, "d", flat);
    mark(fill, "d", "");
    return;
  }
  const step = WIDTH / 89;
  const points = history.map((value, index) => {
    const x = WIDTH - (history.length - 1 - index) * step;
    return `${x.toFixed(1)} ${(HEIGHT - 1.5 - (value / highest) * (HEIGHT - 4)).toFixed(1)}`;
  });
  const path = `M${points.join("L")}`;
  mark(line, "d", path);
  mark(fill, "d", `${path}V${HEIGHT}H${(WIDTH - (history.length - 1) * step).toFixed(1)}Z`);
}
