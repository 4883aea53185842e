"""Categories of a file that are named by the path to them: the names from the root down, `A > B > C`."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from catalog.models import Category
from core.errors import InvalidInput
from core.imports.columns import Given
from core.imports.rows import Record
from core.tenancy.callers import TenantRecord
from core.text import normalized

SEPARATOR = ">"
PARENT_PATH, PATH, NAME, PARENT = "parentPath", "path", "localizedName", "parentId"
MOST_LISTED = 5
NAMED_BY_PATH = frozenset({PARENT_PATH, PATH})

Path = tuple[str, ...]


class UnknownPath(InvalidInput):
    """No category, or more than one, has this path."""

    code = "unknown_path"


@dataclass(frozen=True, slots=True)
class Named:
    """A category by its names: what it is below is an id, a path, or nothing."""

    names: Mapping[str, str]
    parent: str | None = None
    parent_path: Path = ()


class Paths:
    """The categories by their paths, in every language, and by their names.

    Paths to what rows are below become ids from the top down, so that a row's own path is known in all
    languages of the categories above it.
    """

    def __init__(self, categories: dict[str, Named]) -> None:
        self.categories = categories
        self._index()
        waiting = [name for name, category in categories.items() if category.parent_path]
        for length in sorted({len(categories[name].parent_path) for name in waiting}):
            for name in waiting:
                if len(categories[name].parent_path) == length:
                    with suppress(UnknownPath):  # the row itself is refused for that
                        found = self.id_at(categories[name].parent_path)
                        categories[name] = replace(categories[name], parent=found, parent_path=())
            self._index()

    def _index(self) -> None:
        self.known: dict[str, dict[str, Path]] = {}
        self.by_path: dict[Path, set[str]] = {}
        self.by_name: dict[str, set[str]] = {}
        for name, category in self.categories.items():
            for path in self._paths_of(name).values():
                self.by_path.setdefault(path, set()).add(name)
            for text in category.names.values():
                self.by_name.setdefault(text, set()).add(name)

    def _paths_of(self, name: str) -> dict[str, Path]:
        """Return the path of a category in each of its languages, or in another one where a name lacks it."""
        chain = []
        above: str | None = name
        while above is not None and above not in self.known:
            self.known[above] = {}  # ends the way up in a cycle, which is refused when it is written
            chain.append(above)
            category = self.categories.get(above)
            above = category.parent if category else None
        for below in reversed(chain):
            category = self.categories.get(below)
            if category is None or category.parent_path:
                continue
            starts = {} if category.parent is None else self.known[category.parent]
            if category.parent is not None and not starts:
                continue
            start = next(iter(starts.values()), ())
            self.known[below] = {
                language: (*starts.get(language, start), text) for language, text in category.names.items()
            }
        return self.known[name]

    def id_at(self, path: Path) -> str:
        """Return the id of the category; one name may be of any category, if no other has it."""
        found = self.by_path.get(path) or (self.by_name.get(path[0], set()) if len(path) == 1 else set())
        shown = f" {SEPARATOR} ".join(path)
        if not found:
            raise UnknownPath(f"There is no category {shown}.", field=PARENT_PATH)
        if len(found) > 1:
            listed = ", ".join(sorted(found)[:MOST_LISTED])
            raise UnknownPath(
                f"Several categories are {shown}: {listed}. Name one by parentId.", field=PARENT
            )
        [name] = found
        return name


def located(tenant: TenantRecord, records: Sequence[Record]) -> list[Record]:
    """Return the records with ids in place of paths, or with the reason why there is none."""
    read = [_read(record) for record in records]
    if not any(map(says_path, records)):
        return list(records)
    categories = stored_names(tenant.id)
    for record, named in zip(records, read, strict=True):
        body = record.body
        if isinstance(named, Named) and body is not None and isinstance(body.get("id"), str):
            before = categories.get(body["id"], Named({}))
            if not (says_path(record) or PARENT in record.given.names):
                named = replace(named, parent=before.parent)
            categories[body["id"]] = replace(named, names={**before.names, **named.names})
    paths = Paths(categories)
    return [
        _located(record, named, paths) if says_path(record) else record
        for record, named in zip(records, read, strict=True)
    ]


def says_path(record: Record) -> bool:
    """Say whether the record has a path, or empties that of its parent."""
    return record.body is not None and any(
        name.partition(".")[0] in (PATH, PARENT_PATH) for name in record.given.names
    )


def stored_names(tenant_id: int) -> dict[str, Named]:
    rows = Category.objects.filter(tenant=tenant_id).order_by()
    found = list(rows.values_list("external_id", "pk", "parent_id", "name"))
    ids = {key: name for name, key, _, _ in found}
    return {name: Named(names or {}, ids.get(parent)) for name, _, parent, names in found}


def _read(record: Record) -> Named | InvalidInput:
    """Return what the record says of names and of the category above."""
    body = record.body or {}
    names = body.get(NAME)
    names = {} if not isinstance(names, Mapping) else {key: str(text) for key, text in names.items()}
    parent = body.get(PARENT)
    own = Named(names, parent if isinstance(parent, str) else None)
    try:
        if PARENT_PATH in body and PATH in body:
            raise UnknownPath("Give path or parentPath, not both.", field=PATH)
        if PARENT_PATH in record.given.emptied:
            return replace(own, parent=None)
        if PARENT_PATH in body:
            return replace(own, parent=None, parent_path=_split(body[PARENT_PATH], PARENT_PATH))
        if PATH in body:
            given = body[PATH]
            if not isinstance(given, Mapping) or not given:
                raise UnknownPath("path is empty.", field=PATH)
            split = {language: _split(text, PATH) for language, text in given.items()}
            names = {**names, **{language: path[-1] for language, path in split.items()}}
            return Named(names, None, next(iter(split.values()))[:-1])
    except UnknownPath as error:
        return error
    return own


def _split(text: object, field: str) -> Path:
    parts = tuple(normalized(part.strip()) for part in text.split(SEPARATOR)) if isinstance(text, str) else ()
    if not parts or not all(parts):
        raise UnknownPath(f"{field} must be names separated by {SEPARATOR}, such as A > B > C.", field=field)
    return parts


def _located(record: Record, named: Named | InvalidInput, paths: Paths) -> Record:
    if isinstance(named, InvalidInput):
        return replace(record, body=None, error=named)
    body = {name: value for name, value in (record.body or {}).items() if name not in (PATH, PARENT_PATH)}
    names = {name for name in record.given.names if name.partition(".")[0] not in (PATH, PARENT_PATH)}
    if PATH in (record.body or {}):
        body[NAME] = dict(named.names)
        names |= {f"{NAME}.{language}" for language in named.names}
    if named.parent_path:
        try:
            body[PARENT] = paths.id_at(named.parent_path)
        except UnknownPath as error:
            return replace(record, body=None, error=error)
    emptied = [name for name in record.given.emptied if name.partition(".")[0] not in (PATH, PARENT_PATH)]
    if not named.parent_path:
        emptied.append(PARENT)
    return replace(record, body=body, given=Given(frozenset(names | {PARENT}), tuple(emptied)))
