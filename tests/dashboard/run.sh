#!/bin/sh
# Tests the dashboard in headless Chromium, against the preview example or, with URL and TOKEN, against a running instance:
#   tests/dashboard/run.sh [URL TOKEN [ACTOR]]
# Exits with 77 where there is no Chromium.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
if [ $# -ge 2 ]; then
  exec python3 "$here/check.py" "$@"
fi
cd "$here/../.."
port=${PORT:-19477}
preview=${PREVIEW:-}
if [ -z "$preview" ]; then
  cargo build --quiet --release --example dashboard_preview
  preview=${CARGO_TARGET_DIR:-target}/release/examples/dashboard_preview
fi
"$preview" hostile "$port" >/dev/null 2>&1 &
trap 'kill $! 2>/dev/null' EXIT
for _ in $(seq 100); do
  python3 -c "import urllib.request as u; u.urlopen('http://127.0.0.1:$port/livez')" 2>/dev/null && break
  sleep 0.1
done
python3 "$here/check.py" "http://127.0.0.1:$port/" let-me-in tracks
