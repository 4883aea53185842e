"""What a file can hold: the kinds of row, which apps register."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.module_loading import autodiscover_modules

from core.imports.columns import Column
from core.imports.handovers import UniqueValues
from core.imports.merge_statements import Mode
from core.imports.writers import Writer
from core.representation.fields import Field, Json, Nested
from core.representation.representations import Representation


@dataclass(frozen=True, slots=True)
class Export:
    """How the rows of a tenant are written to a file: documents that the import takes, in this order.

    `key` are the members that say which row a document is.
    """

    representation: Representation
    order: str
    key: tuple[str, ...] = ("id",)
    condition: str = "TRUE"


def document_of_files(
    shape: Representation, names: Iterable[str] | None = None, **more: Field
) -> Representation:
    """Return the shape of a document as files have it: these members, and of its metadata the schemas.

    Without `names`, all members but the metadata.
    """
    names = [name for name in shape.fields if name != "metadata"] if names is None else names
    fields = {name: shape.fields[name] for name in names}
    metadata = Nested({"mixins": Json(f"{shape.alias}.mixin_schemas", omit_empty=False)})
    return Representation(
        table=shape.table,
        alias=shape.alias,
        fields={**fields, **more, "metadata": metadata},
        joins=shape.joins,
    )


@dataclass(frozen=True, slots=True)
class ImportResource:
    """A kind of row in files. `name` is that of its commands, `upsert_<name>` and `export_<name>`.

    `batch_size` bounds how long a batch holds its locks: less than a write waits for them. A table of many
    rows is written in parts of `part_size` rows, each in slices in the order of the keys: of `batch_size`
    rows first, and of more while rows are only created and that is quick. With `plans_whole_file` an import
    that is all or nothing hands all rows to the operation at once. Values that are `unique` may change hands
    among the rows of a file, whatever its batches are.
    Rows that exist are updated by the columns that a file has, if `is_updated_by_columns`.
    """

    name: str
    noun: str
    columns: tuple[Column, ...]
    writer: Writer
    export: Export
    modes: tuple[Mode, ...] = (Mode.UPSERT, Mode.INSERT, Mode.DELETE)
    plans_whole_file: bool = False
    unique: UniqueValues | None = None
    is_updated_by_columns: bool = True
    batch_size: int = 20_000
    part_size: int = 0


_resources: dict[str, ImportResource] = {}


def register(*resources: ImportResource) -> None:
    """Make kinds of row known by name. Called in the `imports` package of each app."""
    _resources.update({resource.name: resource for resource in resources})


def registered_resources() -> dict[str, ImportResource]:
    """Return every kind of row that files can hold, by name. Imports the `imports` package of each app."""
    autodiscover_modules("imports")
    return dict(_resources)
