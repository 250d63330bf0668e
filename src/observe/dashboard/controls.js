// Restart, pause and resume. The token lives in this module's memory and nowhere else.

import { say, the } from "./dom.js";

let token = "";
let settled = () => {};

export const unlocked = () => token !== "";

/** Calls `again` whenever what is possible has changed. */
export function prepare(again) {
  settled = again;
  the("unlock").addEventListener("click", () => {
    if (unlocked()) return lock();
    the("token").value = "";
    the("token-dialog").showModal();
  });
  the("token-cancel").addEventListener("click", () => the("token-dialog").close());
  the("token-form").addEventListener("submit", (event) => {
    event.preventDefault();
    token = the("token").value.trim();
    the("token").value = "";
    the("token-dialog").close();
    say(the("unlock"), "Lock controls");
    settled();
  });
}

function lock() {
  token = "";
  say(the("unlock"), "Unlock controls");
  settled();
}

export async function order(name, what) {
  try {
    const answer = await fetch(`/api/actors/${encodeURIComponent(name)}/${what}`, { method: "POST", headers: { Authorization: `Bearer ${token}` } });
    const said = await answer.json();
    if (answer.status === 401) lock();
    toast(answer.ok ? `${name}: ${what} is under way` : said.error);
  } catch (error) {
    toast(`${name}: ${what} did not reach the process (${error.message})`);
  }
}

let hiding = 0;

function toast(text) {
  say(the("toast"), text);
  the("toast").hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => { the("toast").hidden = true; }, 6000);
}
