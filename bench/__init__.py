"""Measures what users feel, side by side with the limit of the machine: see docs/performance.md.

`python -m bench` (or `make bench`) builds a data set in a database of its own, starts the web server on one
core, loads it from the other and prints how near each operation comes to its limit.
"""
