#!/usr/bin/env bash
# Compares our features with those of librosa 0.10.0 (from PyPI), on sounds made for it and on the files given:
#
#   tests/librosa/run.sh [FILE...]
#
# Not part of the normal tests, which hold known values of their own and need no network. REPRISE_BIN: the program to compare.
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
python=$("$here/environment.sh")
reprise=${REPRISE_BIN:-}
if [ -z "$reprise" ]; then
    cargo build --release --manifest-path "$here/../../Cargo.toml"
    reprise=${CARGO_TARGET_DIR:-$here/../../target}/release/reprise
fi
exec "$python" "$here/compare.py" "$reprise" "$@"
