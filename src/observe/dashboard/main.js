// Listens to the live stream and hands each snapshot to the parts of the page.

import { mark, say, the } from "./dom.js";
import { span } from "./format.js";
import { prepare } from "./controls.js";
import { showTree } from "./tree.js";
import { showAnswers, showApis, showChange, showDead, showFlow, showRecords, showRows } from "./panels.js";

/** Without a snapshot for this long, the figures are old and look it. */
const STALE_MS = 4000;

let last = null;
let heard = 0;
let deadSeen = "";

function show(snapshot) {
  last = snapshot;
  heard = performance.now();
  showAnswers(snapshot);
  showTree(snapshot);
  showFlow(snapshot);
  showRecords(snapshot);
  showApis(snapshot);
  showRows(snapshot);
  say(the("run"), `version ${snapshot.version}, run ${snapshot.run_id}, up ${span(snapshot.at - snapshot.started_at)}`);
  showTitle(snapshot.answers.healthy);
  showLink();
  void lookAtDead(snapshot);
}

async function lookAtDead(snapshot) {
  const seen = `${snapshot.dead_latest} ${snapshot.dead_by_reason.map((count) => count.count)}`;
  // Once a minute anyway, for the ages.
  const minute = Math.floor(snapshot.at / 6e7);
  if (`${seen} ${minute}` === deadSeen) return;
  deadSeen = `${seen} ${minute}`;
  try {
    showDead(await (await fetch("/api/dead-letters?limit=30")).json(), snapshot.at);
  } catch {
    deadSeen = "";
  }
}

function showTitle(healthy) {
  document.title = healthy.tone === "good" ? "reprise" : `reprise: ${healthy.text}`;
  const color = { good: "#2f9468", busy: "#3b7dcc", warn: "#d9922b", bad: "#d0433b" }[healthy.tone] ?? "#888";
  const drawing = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="7" fill="${color}"/></svg>`;
  mark(the("icon"), "href", `data:image/svg+xml,${encodeURIComponent(drawing)}`);
}

function showLink() {
  const silent = performance.now() - heard;
  const live = last !== null && silent < STALE_MS;
  document.body.classList.toggle("stale", last !== null && !live);
  mark(the("link"), "data-tone", live ? "good" : "bad");
  say(the("link"), live ? "live" : last === null ? "not connected" : `no connection for ${span(silent * 1000)}`);
}

prepare(() => last && showTree(last));
const events = new EventSource("/api/events");
events.addEventListener("snapshot", (event) => show(JSON.parse(event.data)));
events.addEventListener("change", (event) => showChange(JSON.parse(event.data), last ? last.at : Date.now() * 1000));
setInterval(showLink, 1000);
