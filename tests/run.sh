#!/usr/bin/env bash
# Runs everything: formatting, lints, all tests on the embedded, the Kafka and the PostgreSQL back ends, the simulation and
# the chaos run. Starts a private PostgreSQL and a real Apache Kafka on free ports of 127.0.0.1 and stops what it started.
#
#   tests/run.sh [--strict] [--no-chaos] [--chaos-minutes N] [--seeds N]
#
# Where a service cannot be had, the rest runs, and the end says which tests did not run and why; --strict makes that an error.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

strict=no chaos_minutes=3 seeds=1000
while [ $# -gt 0 ]; do
    case $1 in
        --strict) strict=yes ;;
        --no-chaos) chaos_minutes=0 ;;
        --chaos-minutes) chaos_minutes=$2; shift ;;
        --seeds) seeds=$2; shift ;;
        *) echo "usage: tests/run.sh [--strict] [--no-chaos] [--chaos-minutes N] [--seeds N]" >&2; exit 2 ;;
    esac
    shift
done

not_run=() failed=() passed=0
work=$(mktemp -d "${TMPDIR:-/tmp}/reprise-tests.XXXXXX")
chmod 755 "$work"

clean_up() {
    tests/services/kafka.sh stop "$work/kafka" >/dev/null 2>&1 || true
    tests/services/postgres.sh stop "$work/postgres" >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

say() { printf '\n== %s (%s s)\n' "$*" "$SECONDS"; }

# Runs a step, keeps its output in view, and goes on to the next one whatever happens.
step() { # NAME COMMAND...
    local name=$1
    shift
    say "$name"
    if "$@"; then passed=$((passed + 1)); else failed+=("$name"); fi
}

say "services"
# Beside the build: fetching Kafka the first time takes about a minute.
(tests/services/kafka.sh start "$work/kafka" >"$work/kafka.address" 2>"$work/kafka.log") &
kafka_starter=$!
(tests/services/postgres.sh start "$work/postgres" >"$work/postgres.url" 2>"$work/postgres.log") &
postgres_starter=$!

step "format" cargo fmt --check
# One profile for everything, and no separate `cargo build`: the dependencies are compiled once.
say "build"
cargo test --release --locked --no-run || { echo "the build failed" >&2; exit 1; }

if wait $kafka_starter; then
    REPRISE_TEST_KAFKA=$(cat "$work/kafka.address")
    export REPRISE_TEST_KAFKA
    echo "Kafka at $REPRISE_TEST_KAFKA"
else
    not_run+=("tests on Kafka: $(tail -n 1 "$work/kafka.log")")
fi
if wait $postgres_starter; then
    REPRISE_TEST_POSTGRES=$(cat "$work/postgres.url")
    export REPRISE_TEST_POSTGRES
    echo "PostgreSQL at $REPRISE_TEST_POSTGRES"
else
    not_run+=("tests on PostgreSQL: $(tail -n 1 "$work/postgres.log")")
fi

step "lints" cargo clippy --release --locked --all-targets -- -D warnings
step "tests" cargo test --release --locked --no-fail-fast
# The normal run has 1,000 seeds in it.
if [ "$seeds" != 1000 ]; then
    step "simulation, $seeds seeds" cargo test --release --locked --test simulation -- --seeds "$seeds"
fi
if command -v chromium >/dev/null || { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && {
    apt-get update -qq >/dev/null 2>&1 || true
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null 2>&1
}; }; then
    step "dashboard in Chromium" env PREVIEW=target/release/examples/dashboard_preview tests/dashboard/run.sh
else
    not_run+=("the dashboard in Chromium: no chromium to be had here")
fi
if [ -e tests/chaos.rs ] && [ "$chaos_minutes" != 0 ]; then
    if [ -n "${REPRISE_TEST_KAFKA:-}" ] && [ -n "${REPRISE_TEST_POSTGRES:-}" ]; then
        step "chaos, $chaos_minutes minutes" env REPRISE_CHAOS_MINUTES="$chaos_minutes" \
            cargo test --release --locked --test chaos -- --ignored --nocapture
    else
        not_run+=("chaos: needs Kafka and PostgreSQL")
    fi
fi

say "summary"
for reason in "${not_run[@]}"; do echo "did not run: $reason"; done
for name in "${failed[@]}"; do echo "FAILED: $name"; done
if [ "$strict" = yes ] && [ ${#not_run[@]} -gt 0 ]; then failed+=("tests that did not run"); fi
echo "steps: $passed passed, ${#failed[@]} failed, ${#not_run[@]} skipped"
[ ${#failed[@]} -eq 0 ]
