"""Rows that hang below each other, by their ids."""

from collections.abc import Iterator, Mapping


def find_cycles(parents: Mapping[str, str | None]) -> Iterator[list[str]]:
    """Yield the ids of each cycle of parents; no two cycles share an id.

    An id without a parent, or whose parent is not among the keys, is the top of its tree.
    """
    safe: set[str] = set()
    for start in parents:
        path: dict[str, None] = {}
        name: str | None = start
        while name is not None and name not in safe and name not in path:
            path[name] = None
            name = parents.get(name)
        if name is not None and name in path:
            members = list(path)
            yield members[members.index(name) :]
        safe.update(path)
