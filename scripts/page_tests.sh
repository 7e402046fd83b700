#!/usr/bin/env bash
# The page in a headless Chromium, with the accessibility checker axe-core: make test-page
#
# As root on Debian or Ubuntu a missing Chromium or npm is installed; elsewhere this says what is missing. axe-core goes
# into .axe. PYTEST names the program that runs the tests.
set -euo pipefail
cd "$(dirname "$0")/.."

AXE=4.14.1
SCRIPT=$PWD/.axe/node_modules/axe-core/axe.min.js

present() { for name in "$@"; do command -v "$name" >/dev/null && return; done; return 1; }

need() {  # need PACKAGE PROGRAM...: one of the programs is there, or the package is installed
    local package=$1
    shift
    present "$@" && return
    if [ "$(id -u)" = 0 ] && present apt-get; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >/dev/null
    fi
    present "$@" || { echo "test-page: needs one of: $*; on Debian or Ubuntu: apt-get install $package" >&2; exit 1; }
}

need chromium chromium chromium-browser google-chrome google-chrome-stable
if ! grep -qs "\"version\": \"$AXE\"" "${SCRIPT%/*}/package.json"; then
    need npm npm
    npm install --silent --no-fund --no-audit --no-save --prefix .axe "axe-core@$AXE"
fi
OOD_BENCH_AXE=$SCRIPT exec ${PYTEST:-python3 -m pytest} -q -m browser tests/report/page
