#!/usr/bin/env bash
# CPU seconds a clip of reprise, librosa 0.10.0 and bliss-audio 0.13 on the clips given. See README.md.
#
#   benches/peers/run.sh CLIP...
set -euo pipefail
[ $# -gt 0 ] || { echo "usage: $0 CLIP..." >&2; exit 2; }
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}

python=$("$root/tests/librosa/environment.sh")
case $python in /*) ;; *) python=$root/$python ;; esac
CARGO_TARGET_DIR=$target/peers cargo build --release --manifest-path "$here/bliss/Cargo.toml"
reprise=${REPRISE_BIN:-}
if [ -z "$reprise" ]; then
    cargo build --release --manifest-path "$root/Cargo.toml"
    reprise=$target/release/reprise
fi
# One thread each: what is compared is work, not cores.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 NUMBA_NUM_THREADS=1
exec "$python" "$here/measure.py" "$reprise" "$target/peers/release/peer-bliss" "$@"
