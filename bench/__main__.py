"""The command line of the benchmark."""

import argparse
import os
import subprocess
import sys
from importlib import import_module

import django

from bench.scales import SCALES

os.environ["DJANGO_SETTINGS_MODULE"] = "bench.settings"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure the hot paths side by side with the limit of this machine. The web server runs"
        " with one worker on the first core, the load comes from the others over 8 connections. The data set"
        " is made in a database of its own and kept.",
    )
    parser.add_argument("--scale", choices=SCALES, default="small", help="size of the data set (small)")
    parser.add_argument(
        "--only", metavar="TEXT", action="append", help="operations whose name holds TEXT; may be repeated"
    )
    parser.add_argument("--seconds", type=int, default=2, help="length of one of the three runs (2)")
    parser.add_argument("--rebuild", action="store_true", help="make the data set anew")
    parser.add_argument("--drop", action="store_true", help="only drop the data set's database")
    parser.add_argument("--list", action="store_true", help="only list the operations")
    parser.add_argument("--save", action="store_true", help="keep the results in bench/results.json")
    parser.add_argument(
        "--soak", type=int, default=0, metavar="N", help="then send N more requests and show the memory"
    )
    parser.add_argument(
        "--peers", action="store_true", help="instead compare with Medusa and Vendure, see bench/peers"
    )
    options = parser.parse_args()
    if options.peers and (
        options.drop or options.list or options.save or options.soak or options.scale != "small"
    ):
        parser.error("--peers goes with --only, --seconds and --rebuild only.")
    return options


IMPORTS = "import of a million memberships"


def measure_imports(*, save: bool) -> int:
    """Measure imports of files, which need a database of their own, in a process of their own."""
    words = [sys.executable, "-m", "bench.imports", *(["--save"] if save else [])]
    return subprocess.run(words, check=False).returncode


def measure_mixture(scale: str) -> int:
    """Measure a storefront's mixture of reads, in a process of its own."""
    return subprocess.run([sys.executable, "-m", "bench.mixture", "--scale", scale], check=False).returncode


def measure_costs() -> int:
    """Measure what the journal and feeds cost, each in a database and a process of its own."""
    names = ("bench.journal", "bench.feed")
    return max(subprocess.run([sys.executable, "-m", name], check=False).returncode for name in names)


def compare_with_peers(options: argparse.Namespace) -> int:
    """Compare with Medusa and Vendure on the small data set, in a process of its own."""
    words = [sys.executable, "-m", "bench.peers", "--seconds", str(options.seconds)]
    words += [word for text in options.only or () for word in ("--only", text)]
    return subprocess.run([*words, *(["--rebuild"] if options.rebuild else [])], check=False).returncode


if __name__ == "__main__":
    options = arguments()
    if options.peers:
        sys.exit(compare_with_peers(options))
    if options.only and all(text.lower() in IMPORTS for text in options.only):
        sys.exit(measure_imports(save=options.save))
    os.environ["BENCH_SCALE"] = options.scale
    django.setup()
    status = import_module("bench.running").run_benchmark(options)  # only now are there models
    if not (options.only or options.list or options.drop):
        status = max(
            status, measure_mixture(options.scale), measure_imports(save=options.save), measure_costs()
        )
    sys.exit(status)
