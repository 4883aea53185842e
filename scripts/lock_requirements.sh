#!/bin/sh
# Writes requirements*.lock from requirements*.txt: every package that is installed, with its version and the
# hashes of its files, for Python 3.11 and newer on all platforms. Needs uv (pip install uv). Versions that are
# locked stay, unless a requirement asks for another: `sh scripts/lock_requirements.sh --upgrade` renews all.
set -eu

lock() {
    name=$1
    shift
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
        --output-file "$name.lock" "$@" "$name.txt"
}

lock requirements "$@"
for extra in demo dev oidc opentelemetry sentry totp; do
    lock "requirements-$extra" --constraints requirements.lock "$@"
done
