"""Imports of files side by side with their limit: what psql needs to copy and merge the same file.

`python -m bench.imports` makes a database of its own, imports a million memberships of 100,000 customers in
100 segments, and does the same by psql: COPY into a temporary table, and one INSERT ... ON CONFLICT.
"""
