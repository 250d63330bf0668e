#!/bin/sh
# Screenshots of a running instance, light and dark, desktop and phone:
#   tests/dashboard/screenshots.sh URL DIRECTORY [NAME [SECONDS]]
# NAME begins the files' names (default: dashboard); SECONDS is how long to look before each picture (default: 3).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
exec python3 "$here/screenshots.py" "$1" "$2" "${3:-dashboard}" "${4:-3}"
