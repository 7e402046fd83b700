#!/usr/bin/env bash
# A sweep on a Ray cluster of one node, this machine, which is started for it and ends with it: make test-ray
#
# hydra-ray-launcher wants an older cloudpickle than the packages of the lock do. So it gets an environment of its own,
# .venv-ray, for which the package index is needed; the lock stays as it is. UV names the installer, ROOM the folder.
set -euo pipefail
cd "$(dirname "$0")/.."

UV=${UV:-uv}
ROOM=${ROOM:-$PWD/.venv-ray}
WORK=$(mktemp -d)
RAY=

end() {
    if [ -n "$RAY" ]; then kill "$RAY" 2>/dev/null || true; wait "$RAY" || true; fi
    rm -rf "$WORK"
}
trap end EXIT

[ -x "$ROOM/bin/python" ] || $UV venv --quiet --python "$(command -v "${PYTHON:-python3}")" "$ROOM"
$UV pip install --quiet --python "$ROOM/bin/python" --reinstall-package ood-bench . 'hydra-ray-launcher>=1.2.2'
$UV pip list --python "$ROOM/bin/python" | grep -E '^(cloudpickle|hydra-core|hydra-ray-launcher|ray) '

# Whoever reaches a Ray can run anything on it: this one asks for a token, whatever the user's ~/.ray says.
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN RAY_USAGE_STATS_ENABLED=0
RAY_AUTH_TOKEN=$(od -An -N 32 -tx1 /dev/urandom | tr -d ' \n')

# With --block Ray's processes are this one's children and end with it; `ray stop` would end every Ray of the machine.
# It starts in another folder than the sweep, as on a real cluster.
(cd / && exec "$ROOM/bin/ray" start --head --block --num-cpus=2 --port=0 --include-dashboard=false \
    --temp-dir="$WORK/ray" >"$WORK/ray.log" 2>&1) &
RAY=$!
address() { cat "$WORK/ray/ray_current_cluster" 2>/dev/null; }
for _ in $(seq 20); do  # each look takes seconds
    address >/dev/null && "$ROOM/bin/ray" status --address "$(address)" >/dev/null 2>&1 && up=1 && break
    kill -0 "$RAY" || break
    sleep 1
done
[ -n "${up:-}" ] || { cat "$WORK/ray.log" >&2; exit 1; }

cd "$WORK"
"$ROOM/bin/ood-bench" -m experiment=quickstart method=msp,energy seed=0,1 ood=uniform ood.uniform.source.count=40 \
    id.train.test_fraction=0.9 id.test.test_fraction=0.05 train.epochs=1 scoring.resamples=0 device=cpu \
    hydra/launcher=ray hydra.launcher.ray.init.address="$(address)" +hydra.launcher.ray.init.object_store_memory=null
"$ROOM/bin/ood-bench" status --store outputs/quickstart/store
records=$(find outputs/quickstart/results/records -name '*.json' | wc -l)
[ "$records" = 4 ] || { echo "test-ray: $records of 4 records" >&2; exit 1; }
echo "test-ray: the sweep's 4 jobs left 4 records"
