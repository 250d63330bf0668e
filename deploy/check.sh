#!/bin/sh
# Checks everything in this folder with whatever checkers the machine has, and says what could not be checked.
# Debian: apt-get install prometheus (promtool); PyPI: kubernetes-validate, compose-spec (PYTHON names the interpreter that has them).
set -u
cd "$(dirname "$0")" || exit 1
python=${PYTHON:-python3}
failed=0
unchecked=

check() { # WHAT COMMAND...
  what=$1
  shift
  if output=$("$@" 2>&1); then
    echo "ok         $what"
  else
    echo "FAILED     $what"
    echo "$output" | sed 's/^/           /'
    failed=1
  fi
}

missing() { # WHAT WHY
  echo "unchecked  $1: $2"
  unchecked="$unchecked $1;"
}

has() { command -v "$1" >/dev/null 2>&1; }
has_module() { "$python" -c "import $1" 2>/dev/null; }

if has promtool; then
  check "alert rules" promtool check rules prometheus/alerts.yml
  check "alert rules' tests" promtool test rules prometheus/alerts_test.yml
  # Their paths are the container's: rules beside the configuration.
  check "scrape configuration" promtool check config prometheus/prometheus.yml
else
  missing "prometheus/" "no promtool (apt-get install prometheus)"
fi

check "Grafana dashboard names only metrics of the contract" "$python" - <<'PYTHON'
import json, re, sys
contract = {
    "reprise_actor_up", "reprise_actor_restarts_total", "reprise_actor_heartbeat_age_seconds", "reprise_actor_mailbox_depth",
    "reprise_actor_busy_seconds_total", "reprise_records_total", "reprise_batch_seconds", "reprise_consumer_lag",
    "reprise_dead_letters_total", "reprise_api_requests_total", "reprise_api_wait_seconds_total", "reprise_rows_total",
    "reprise_match_score", "reprise_clip_seconds", "reprise_build_info",
}
text = open("grafana/reprise.json").read()
board = json.loads(text)
named = {re.sub("_(bucket|sum|count)$", "", name) for name in re.findall(r"reprise_\w+", text)}
ids = [panel["id"] for panel in board["panels"]]
unknown, unused = named - contract, contract - named
sys.exit(f"unknown: {unknown}, not shown: {unused}" if unknown or unused or len(ids) != len(set(ids)) else 0)
PYTHON

export POSTGRES_PASSWORD=x GRAFANA_PASSWORD=x
if docker compose version >/dev/null 2>&1; then
  check "compose file" docker compose -f compose.yaml config --quiet
elif has_module compose_spec && has_module yaml; then
  check "compose file (by schema only: no docker compose here)" "$python" -c '
import compose_spec, yaml
compose_spec.ComposeSpecification.model_validate(yaml.safe_load(open("compose.yaml")))'
else
  missing "compose.yaml" "neither docker compose nor PyPI compose-spec and pyyaml"
fi

if has hadolint; then
  check "Dockerfile" hadolint Dockerfile
else
  missing "Dockerfile" "no hadolint, and building it needs a container engine"
fi

if has systemd-analyze; then
  # The binary need not be installed where this is checked: a copy that runs /bin/true stands in for it.
  copy=$(mktemp -d)
  sed 's#^ExecStart=.*#ExecStart=/bin/true#' systemd/reprise.service >"$copy/reprise.service"
  check "systemd unit" systemd-analyze verify --man=no "$copy/reprise.service"
  # Exposure from 0 (nothing to attack) to 10; the option counts in tenths.
  check "systemd unit's exposure below 2.0" systemd-analyze security --offline=true --no-pager --threshold=20 "$copy/reprise.service"
  rm -r "$copy"
else
  missing "systemd/reprise.service" "no systemd-analyze"
fi

if has kubectl; then
  check "Kubernetes kustomization" kubectl kustomize kubernetes
else
  missing "kubernetes/kustomization.yaml" "no kubectl"
fi
if has_module kubernetes_validate; then
  for file in kubernetes/[!k]*.yaml; do
    case $file in
      */scaling.yaml) missing "$file" "no schema for KEDA's ScaledObject at hand" ;;
      *) check "$file" "$python" -m kubernetes_validate --strict "$file" ;;
    esac
  done
else
  missing "kubernetes/" "no PyPI kubernetes-validate"
fi

[ -z "$unchecked" ] || echo "not everything could be checked:$unchecked"
exit $failed
