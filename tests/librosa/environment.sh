#!/usr/bin/env bash
# Prints the path of a Python that has librosa 0.10.0, installed from PyPI into target/librosa on the first call.
# librosa 0.10.0 needs Python 3.9 to 3.11: REPRISE_PYTHON names one, or one is searched for.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

home=${CARGO_TARGET_DIR:-target}/librosa
if [ ! -e "$home/complete" ]; then
    for python in ${REPRISE_PYTHON:-python3.11 python3.10 python3.9 python3}; do
        "$python" -c 'import sys; sys.exit(not (3, 9) <= sys.version_info[:2] <= (3, 11))' 2>/dev/null && break
        python=
    done
    [ -n "$python" ] || { echo "no Python 3.9 to 3.11 found: name one in REPRISE_PYTHON" >&2; exit 1; }
    mkdir -p "$home"
    "$python" -m venv "$home" >&2
    # Versions of the time of librosa 0.10.0; setuptools for its pkg_resources.
    "$home/bin/pip" install --quiet 'librosa==0.10.0' 'numpy<1.27' 'scipy<1.12' 'numba<0.60' 'setuptools<80' >&2
    touch "$home/complete"
fi
echo "$home/bin/python"
