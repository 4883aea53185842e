"""The command line of the comparison with Medusa and Vendure."""

import argparse
import os
import sys
from importlib import import_module

import django

import bench.peers

if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m bench.peers",
        description=bench.peers.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", metavar="TEXT", action="append", help="operations whose name holds TEXT")
    parser.add_argument("--seconds", type=int, default=2, help="length of a turn (2)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each (3)")
    parser.add_argument("--rebuild", action="store_true", help="make the databases of the peers anew")
    options = parser.parse_args()
    os.environ.update(DJANGO_SETTINGS_MODULE="bench.settings", BENCH_SCALE="small")
    django.setup()
    comparing = import_module("bench.peers.comparing")  # only now are there models
    sys.exit(
        comparing.compare(
            seconds=options.seconds,
            rounds=options.rounds,
            only=options.only or (),
            rebuild=options.rebuild,
        )
    )
