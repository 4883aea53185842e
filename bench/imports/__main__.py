"""The command line of the benchmark of imports. Exit status 1 when a target is missed."""

import os
import sys
from importlib import import_module

import django

if __name__ == "__main__":
    os.environ.update(DJANGO_SETTINGS_MODULE="bench.settings", BENCH_SCALE="imports")
    django.setup()
    comparing = import_module("bench.imports.comparing")  # only now are there models
    sys.exit(comparing.main(save="--save" in sys.argv))
