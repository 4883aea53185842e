"""The command line of the benchmark of a storefront's mixture."""

import argparse
import os
import sys
from importlib import import_module

import django

from bench.scales import SCALES

DESCRIPTION = """\
Of a hundred requests 30 read items and 30 products of a category for segments, 20 category trees of segments,
15 are answered 304 and 5 validate a coupon; they come from 10,000 customers in 200 sets of segments (95 at
small). The connections double until the slowest hundredth waits longer than 50 ms. The same mixture is then
measured beside an import of memberships and beside evaluations of a rule, in turns with nothing beside it."""

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.mixture", description=DESCRIPTION)
    parser.add_argument("--scale", choices=SCALES, default="small", help="size of the data set (small)")
    parser.add_argument("--seconds", type=int, default=5, help="length of each run (5)")
    options = parser.parse_args()
    os.environ.update(DJANGO_SETTINGS_MODULE="bench.settings", BENCH_SCALE=options.scale)
    django.setup()
    measuring = import_module("bench.mixture.measuring")  # only now are there models
    sys.exit(measuring.main(SCALES[options.scale], options.seconds))
