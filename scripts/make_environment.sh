#!/bin/sh
# Creates the virtual environment .venv with a Python that is new enough: $PYTHON, or the first one found.
set -eu

is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

chosen=
for candidate in ${PYTHON:+"$PYTHON"} python3 python3.14 python3.13 python3.12 python3.11; do
    if is_new_enough "$candidate"; then
        chosen=$candidate
        break
    fi
done
if [ -z "$chosen" ]; then
    echo "Python 3.11 or newer is needed. Install it, or name one: make run PYTHON=/path/to/python3" >&2
    exit 1
fi

# Debian keeps ensurepip, which venv needs, in a package of its own; virtualenv does without.
if "$chosen" -c 'import ensurepip' 2>/dev/null; then
    exec "$chosen" -m venv --clear .venv
elif "$chosen" -c 'import virtualenv' 2>/dev/null; then
    exec "$chosen" -m virtualenv --clear .venv
fi
echo "$chosen cannot create virtual environments: install its venv module (Debian, Ubuntu:" >&2
echo "apt install python3-venv) or virtualenv, then try again." >&2
exit 1
