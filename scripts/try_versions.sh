#!/bin/sh
# Runs the tests with other versions of Python and Django, each in an environment of its own below var/versions:
# `sh scripts/try_versions.sh [tests ...]`, by default the quick ones. What is not at hand is named and left out.
set -u

cd "$(dirname "$0")/.."
failed=""
missing=""
try() { # <python> <django>
    name="python$1-django$2"
    python="$(command -v "python$1" || true)"
    if [ -z "$python" ] || ! "$python" -c '' 2>/dev/null; then
        missing="$missing $name"
        return
    fi
    wanted="$3"
    environment="var/versions/$name"
    [ -x "$environment/bin/python" ] || "$python" -m venv "$environment"
    for lock in requirements.lock requirements-demo.lock requirements-dev.lock; do
        "$environment/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r $lock ||
            { failed="$failed $name(install)"; return; }
    done
    if [ "$2" != 5.2 ]; then
        "$environment/bin/python" -m pip install --quiet --disable-pip-version-check "Django~=$2.0" ||
            { failed="$failed $name(install)"; return; }
    fi
    echo "== $name: $("$environment/bin/python" -m django --version)"
    # shellcheck disable=SC2086 -- several words
    TEST_DATABASE_SUFFIX="v$(echo "$1$2" | tr -d .)" DEBUG=1 "$environment/bin/python" -m pytest -q -m "not slow" $wanted ||
        failed="$failed $name"
}

tests="$*"
for python in 3.11 3.12 3.13; do
    try "$python" 5.2 "$tests"
done
for python in 3.12 3.13; do
    try "$python" 6.1 "$tests"
done
[ -z "$missing" ] || echo "Not at hand:$missing"
[ -z "$failed" ] || { echo "Failed:$failed"; exit 1; }
