"""Takes the dashboard's screenshots: `screenshots.py URL DIRECTORY NAME [seconds]`, light and dark, desktop and phone."""

import os
import sys
import time

from browser import Browser, executable

VIEWS = [("desktop-light", 1280, False), ("desktop-dark", 1280, True), ("phone-light", 390, False), ("phone-dark", 390, True)]


def main():
    url, directory, name = sys.argv[1:4]
    seconds = float(sys.argv[4]) if len(sys.argv) > 4 else 3
    if not executable():
        sys.exit("screenshots need Chromium: apt-get install chromium")
    os.makedirs(directory, exist_ok=True)
    only = os.environ.get("VIEWS", "").split()
    for view, width, dark in VIEWS:
        if only and view not in only:
            continue
        with Browser(width=width, height=844 if width < 600 else 900, dark=dark, mobile=width < 600) as browser:
            browser.open(url)
            browser.wait_for("document.querySelector('#tree li') !== null", what="the tree is shown")
            time.sleep(seconds)
            overflow = browser.ask("document.documentElement.scrollWidth - innerWidth")
            if overflow > 0:
                print(f"{view}: the page is {overflow} px wider than the window", file=sys.stderr)
            browser.screenshot(os.path.join(directory, f"{name}-{view}.jpg"))
            print(f"{name}-{view}.jpg")


if __name__ == "__main__":
    main()
