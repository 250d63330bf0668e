"""The dashboard in a real browser: `check.py URL TOKEN [ACTOR]`, against any running instance that has a token configured.

An actor that is killed turns red and green again before the reader's eyes; the numbers are those of the API; the page is
usable by keyboard and on a phone; nothing of what servers said becomes markup; the console stays clean.
"""

import json
import sys
import time
import urllib.request

from browser import Browser, executable

SKIPPED = 77

# Remembers every tone and state the actor's row ever had: a quick restart is over before anybody could ask.
WATCH = """
(() => {
  const row = document.querySelector(`#tree li[data-actor="${ACTOR}"]`);
  window.seen = [];
  const note = () => window.seen.push(`${row.dataset.state} ${row.dataset.tone}`);
  new MutationObserver(note).observe(row, { attributes: true, attributeFilter: ["data-state", "data-tone"] });
  return true;
})()
"""


def api(url, path):
    with urllib.request.urlopen(url.rstrip("/") + path, timeout=10) as answer:
        return json.load(answer)


def check(what, holds):
    print(f"{'ok  ' if holds else 'FAIL'} {what}")
    if not holds:
        check.failures += 1


check.failures = 0


def numbers_match(browser, url):
    """Asks page and API in turn until both say the same: they look at the same moment only now and then."""
    rows = "Object.fromEntries([...document.querySelectorAll('#rows dd')].map((cell) => [cell.dataset.table, cell.textContent]))"
    actors = "[...document.querySelectorAll('#tree li')].map((row) => row.dataset.actor)"
    check("every actor has its row", browser.ask(actors) == [actor["name"] for actor in api(url, "/api/actors")["actors"]])
    topics = "[...document.querySelectorAll('#flow li')].map((row) => row.dataset.topic)"
    check("every topic has its line", browser.ask(topics) == [topic["topic"] for topic in api(url, "/api/topics")["topics"]])
    for _ in range(80):
        wanted = {table: f"{count:,}" for table, count in api(url, "/api/summary")["rows"].items() if count < 100000}
        shown = {table: text for table, text in browser.ask(rows).items() if table in wanted}
        if shown == wanted:
            break
        time.sleep(0.13)
    check(f"row counts are the API's: {shown}", shown == wanted)
    for _ in range(40):
        answers = api(url, "/api/actors")["answers"]
        said = browser.ask("document.querySelector('[data-answer=healthy] .said').textContent")
        if said == answers["healthy"]["text"]:
            break
        time.sleep(0.13)
    check(f"the page's verdict is the API's: {said}", said == answers["healthy"]["text"])


def limits_show(browser, url):
    """Every rate limit of the API has its line, with what is used of it and what is allowed."""
    shown = "[...document.querySelectorAll('#apis > li')].map((item) => item.querySelector('b').textContent + ' ' + item.querySelectorAll('.windows li').length)"
    wanted = [f"{one['api']} {len(one['windows'])}" for one in api(url, "/api/summary")["apis"]]
    check(f"every API shows its limits: {wanted}", browser.ask(shown) == wanted)
    used = browser.ask("[...document.querySelectorAll('.windows .used')].map((text) => text.textContent)")
    check(f"limits are told in words: {used[:2]}", all(" of " in text and " calls in " in text for text in used))


def unlock_by_keyboard(browser, token):
    browser.ask("document.getElementById('unlock').focus()")
    browser.press("Enter", 13, "\r")
    browser.wait_for("document.getElementById('token-dialog').open", what="the dialog opens by keyboard")
    browser.call("Input.insertText", text=token)
    browser.press("Enter", 13, "\r")
    browser.wait_for("!document.getElementById('token-dialog').open", what="the dialog closes")
    check("the token is nowhere in the page", token not in browser.ask("document.documentElement.outerHTML"))
    kept = browser.ask("JSON.stringify([Object.entries(localStorage), Object.entries(sessionStorage), document.cookie])")
    check("the token is in no storage", token not in kept)


def killed_and_healed(browser, actor):
    """Once slow enough to see: restarts come with growing pauses, so kill it until red was seen."""
    browser.ask(WATCH.replace("${ACTOR}", actor))
    browser.ask(f"document.querySelector('#tree li[data-actor=\"{actor}\"] .row').focus()")
    browser.press("Enter", 13, "\r")
    restart = f"document.querySelector('#tree li[data-actor=\"{actor}\"] [data-order=restart]')"
    browser.wait_for(f"!{restart}.disabled", what="the restart button is enabled")
    for _ in range(40):
        browser.ask(f"{restart}.click()")
        try:
            browser.wait_for("window.seen.some((seen) => seen.endsWith(' bad'))", seconds=1)
            break
        except AssertionError:
            continue
    seen = browser.ask("window.seen")
    check(f"{actor} is killed and turns red: {seen[:6]}", any(one.endswith(" bad") for one in seen))
    green = f"document.querySelector('#tree li[data-actor=\"{actor}\"]').dataset.state === 'running'"
    browser.wait_for(green, seconds=60, what=f"{actor} runs again")
    after = browser.ask("window.seen.slice(window.seen.findIndex((seen) => seen.endsWith(' bad'))).some((seen) => seen === 'running good')")
    check(f"{actor} turns green again", after)
    check("the change is told under What happened", browser.ask(f"document.getElementById('events').textContent.includes('{actor}')"))
    check("its history names the kill", browser.ask(f"document.querySelector('#tree li[data-actor=\"{actor}\"] .exits').textContent.includes('killed')"))


def phone(url):
    with Browser(width=390, height=844, mobile=True) as browser:
        browser.open(url)
        browser.wait_for("document.querySelector('#tree li') !== null")
        check("on a phone nothing is wider than the window", browser.ask("document.documentElement.scrollWidth <= innerWidth"))


def main():
    url, token = sys.argv[1:3]
    actor = sys.argv[3] if len(sys.argv) > 3 else "tracks"
    if not executable():
        print("skipped: no Chromium")
        sys.exit(SKIPPED)
    with Browser() as browser:
        browser.open(url)
        browser.wait_for("document.querySelector('#tree li') !== null", what="the tree is shown")
        numbers_match(browser, url)
        limits_show(browser, url)
        unlock_by_keyboard(browser, token)
        killed_and_healed(browser, actor)
        injected = "document.querySelectorAll('main img, main script, main iframe').length"
        check("what servers said stays text", browser.ask(injected) == 0)
        check(f"the console is clean: {browser.console}", not browser.console)
    phone(url)
    sys.exit(1 if check.failures else 0)


if __name__ == "__main__":
    main()
