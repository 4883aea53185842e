"""Work that goes on beside the storefront: `python -m bench.mixture.beside import|rules`, until it is ended.

It prints a line when it has begun, and writes into segments that no customer of the mixture reads.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from subprocess import PIPE, Popen

import django

BEGUN = "begun"
KINDS = ("import", "rules")


@contextmanager
def beside(kind: str) -> Iterator[None]:
    """Let such work go on meanwhile, in a process of its own."""
    words = [sys.executable, "-m", "bench.mixture.beside", kind]
    with Popen(words, stdout=PIPE, stderr=PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            if BEGUN not in process.stdout.readline():
                raise RuntimeError(f"{' '.join(words)} did not begin:\n{process.communicate()[1]}")
            yield
        finally:
            process.terminate()


if __name__ == "__main__":
    django.setup()
    work = import_module("bench.mixture.work")  # only now are there models
    work.go_on(sys.argv[1], begin=lambda: print(BEGUN, flush=True))
