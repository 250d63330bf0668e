// Everything beside the tree: answers, flow, records, APIs, database, dead letters, events.

import { h, keep, mark, say, the } from "./dom.js";
import { ago, clock, left, number, rate, span } from "./format.js";

export function showAnswers(snapshot) {
  for (const card of document.querySelectorAll("[data-answer]")) {
    const answer = snapshot.answers[card.dataset.answer];
    mark(card, "data-tone", answer.tone);
    say(card.querySelector(".said"), answer.text);
    const when = answer.at ? ago(answer.at, snapshot.at) : left(answer.until, snapshot.at);
    say(card.querySelector(".more"), [when, answer.detail].filter(Boolean).join(": "));
    mark(card, "title", answer.detail ?? "");
  }
}

export function showFlow(snapshot) {
  const most = Math.max(1, ...snapshot.topics.flatMap((topic) => topic.groups.map((group) => group.lag)));
  keep(the("flow"), snapshot.topics, (topic) => topic.topic, makeTopic, (item, topic) => {
    say(item.querySelector(".topic span"), `${number(topic.messages)} messages, ${rate(topic.per_second)}/s`);
    keep(item.querySelector(".readers"), topic.groups, (group) => group.group, makeReader, (line, group) => {
      // The root of the share keeps small backlogs visible beside large ones.
      line.querySelector("i").style.width = `${100 * Math.sqrt(group.lag / most)}%`;
      const lag = line.lastElementChild;
      say(lag, number(group.lag));
      lag.classList.toggle("zero", group.lag === 0);
      mark(line, "title", told(group));
    });
  });
}

function makeTopic(topic) {
  return h("li", { class: topic.groups.length ? "" : "end", "data-topic": topic.topic },
    h("span", { class: "from", text: topic.from.join(", ") }),
    h("div", { class: "topic" }, h("b", { text: topic.topic }), h("span")),
    h("div", { class: "readers" }));
}

function makeReader(group) {
  return h("div", { "data-stage": group.stage }, h("span", { text: group.stage }), h("span", { class: "bar" }, h("i")), h("span", { class: "n" }));
}

function told(group) {
  const { consumed, emitted, superseded, dead_lettered: dead } = group.ledger;
  const all = `${number(consumed)} taken: ${number(emitted)} led to records, ${number(superseded)} were nothing new, ${number(dead)} dead letters`;
  return group.balanced ? all : `${all}. THE LEDGER IS NOT BALANCED.`;
}

let firstRecords = true;

export function showRecords(snapshot) {
  const shown = snapshot.records.slice(0, 12);
  keep(the("records"), shown, (record) => record.id, (record) => h("li", { class: firstRecords ? "" : "fresh" },
    h("time"),
    h("p", {}, h("b", { text: record.name }), " ", h("span", { class: "kind", text: record.kind }), h("br"), h("span", { class: "says", text: record.says }))),
  (line, record) => say(line.firstElementChild, ago(record.at, snapshot.at)));
  empty("records", shown.length === 0);
  firstRecords = false;
}

export function showApis(snapshot) {
  keep(the("apis"), snapshot.apis, (api) => api.api, (api) => h("li", {},
    h("p", { class: "line" }, h("b", { text: api.api }), h("span", { class: "chips" })),
    h("ul", { class: "windows" }), h("p", { class: "waits" }), h("p", { class: "now" })),
  (item, api) => {
    keep(item.querySelector(".windows"), api.windows, (window) => `${window.calls}/${window.per_s}`, makeWindow, showWindow);
    keep(item.querySelector(".chips"), Object.entries(api.requests), (entry) => entry[0], () => h("span", { class: "chip" }), (chip, [status, count]) => {
      mark(chip, "data-tone", status.startsWith("2") ? "good" : status === "404" ? "quiet" : "warn");
      say(chip, `${status} × ${number(count)}`);
    });
    const waits = Object.entries(api.waited_s).filter((entry) => entry[1] > 0).map(([reason, seconds]) => `${span(seconds * 1e6)} for ${reason.replace("_", "-")}`);
    say(item.querySelector(".waits"), waits.length ? `waited ${waits.join(", ")}` : "");
    const now = api.waiting.map((wait) => [`${wait.actor} waits now: ${wait.reason}`, left(wait.until, snapshot.at)].filter(Boolean).join(", "));
    const closed = api.closed && `Nothing is sent: ${[api.closed.reason, left(api.closed.until, snapshot.at)].filter(Boolean).join(", ")}`;
    say(item.querySelector(".now"), [closed, ...now].filter(Boolean).join("; "));
  });
  empty("apis", snapshot.apis.length === 0);
}

function makeWindow() {
  return h("li", {}, h("span", { class: "bar" }, h("i")), h("span", { class: "used" }));
}

/** How much of a rolling window is used: the rest may be sent at once. */
function showWindow(line, window) {
  const share = Math.min(1, window.used / Math.max(1, window.calls));
  line.querySelector("i").style.width = `${100 * share}%`;
  mark(line, "data-tone", share >= 1 ? "warn" : "busy");
  say(line.querySelector(".used"), `${number(window.used)} of ${number(window.calls)} calls in ${span(window.per_s * 1e6)}`);
}

export function showRows(snapshot) {
  keep(the("rows"), Object.entries(snapshot.rows), (row) => row[0], (row) => h("div", {}, h("dt", { text: row[0] }), h("dd", { "data-table": row[0] })),
    (cell, row) => say(cell.lastElementChild, number(row[1])));
}

/** The letters themselves come on demand: their payloads are too large to be sent every second. */
export function showDead(answer, now) {
  say(the("dead-total"), answer.total ? `${number(answer.total)} in the topic` : "");
  keep(the("reasons"), answer.by_reason, (count) => `${count.stage} ${count.reason}`, () => h("li", { class: "chip", "data-tone": "bad" }),
    (chip, count) => say(chip, `${count.stage}: ${count.reason} × ${number(count.count)}`));
  keep(the("dead"), answer.dead_letters, (letter) => `${letter.id}@${letter.at}`, makeLetter, (item, letter) => say(item.querySelector("time"), ago(letter.at, now)));
  empty("dead", answer.dead_letters.length === 0);
}

function makeLetter(letter) {
  const size = letter.truncated ? `the first ${number(letter.payload.length)} characters of ${number(letter.payload_bytes)} bytes` : `${number(letter.payload_bytes)} bytes`;
  return h("li", {}, h("details", {},
    h("summary", {}, h("time"), h("span", { text: letter.stage }), h("b", { text: letter.reason }), h("span", { class: "detail", text: letter.detail })),
    h("div", { class: "look" },
      h("span", { text: `From ${letter.origin}, appended ${new Date(letter.origin_at / 1000).toLocaleString()}, key ${letter.key || "none"}; ${size}:` }),
      h("pre", { tabindex: "0", text: letter.payload }))));
}

const EVENTS_KEPT = 50;

export function showChange(change, at) {
  const told = change.from === change.to ? `started anew, ${change.to}` : [change.from, change.to].filter(Boolean).join(" → ");
  const line = h("li", { class: "fresh" }, h("time", { text: clock(at) }),
    h("p", {}, h("b", { text: change.name }), ` ${told}`, change.reason ? `: ${change.reason}` : ""));
  the("events").prepend(line);
  while (the("events").children.length > EVENTS_KEPT) the("events").lastElementChild.remove();
  the("no-events").hidden = true;
}

function empty(id, isEmpty) {
  the(id).parentElement.querySelector(".none").hidden = !isEmpty;
}
