"""What follows from the bodies of a file's rows: its columns, and where their values are stored."""

from collections.abc import Mapping

import msgspec
from django.db import models
from msgspec import inspect

from core.bodies import Body
from core.imports.columns import EXPECTED_VERSION, Column, ColumnType
from core.representation.languages import Translations
from core.sql.upserts import BodyColumns

STORED_AS = {
    "validity.from": "valid_from",
    "validity.to": "valid_to",
    "metadata.mixins": "mixin_schemas",
}
"""The table's columns of parts of a body that have other names there."""

NOTES = {"mixins": "own attributes", "metadata.mixins": "addresses of their schemas"}


def columns_of(kind: type[Body], **notes: str) -> tuple[Column, ...]:
    """Return a file's columns: the members of the body, those of the subclass first.

    `notes` are by the names of the body's attributes.
    """
    columns = [
        column
        for name, (wire_name, described) in members_of(kind).items()
        for column in columns_of_member(wire_name, described, notes.get(name, ""))
    ]
    return (*(column for column in columns if column.name != EXPECTED_VERSION.name), EXPECTED_VERSION)


def members_of(kind: type[Body]) -> dict[str, tuple[str, inspect.Field]]:
    """Return the members of a body, those of the subclass first, by the names of its attributes."""
    described = {field.name: field for field in struct_type(kind).fields}
    order = dict.fromkeys(name for base in kind.__mro__ for name in vars(base).get("__annotations__", {}))
    return {name: (described[name].encode_name, described[name]) for name in order if name in described}


def struct_type(kind: type[msgspec.Struct]) -> inspect.StructType:
    found = inspect.type_info(kind)
    assert isinstance(found, inspect.StructType)
    return found


def columns_of_member(name: str, field: inspect.Field, note: str) -> list[Column]:
    """Return the columns of a member; a member that is an object has one for each of its own members."""
    kind = plain_type(field.type)
    if isinstance(kind, inspect.StructType):
        return [
            column
            for inner in kind.fields
            for column in columns_of_member(f"{name}.{inner.encode_name}", inner, note)
        ]
    is_id = isinstance(kind, inspect.StrType) and bool(kind.max_length or kind.pattern)
    return [Column(name, column_type(kind), field.required, is_id, note or NOTES.get(name, ""))]


def plain_type(kind: inspect.Type) -> inspect.Type:
    """Return the type itself, without its description and without null."""
    if isinstance(kind, inspect.Metadata):
        return plain_type(kind.type)
    if isinstance(kind, inspect.UnionType):
        [member] = [member for member in kind.types if not isinstance(member, inspect.NoneType)]
        return plain_type(member)
    return kind


def column_type(kind: inspect.Type) -> ColumnType:
    match kind:
        case inspect.CustomType() if issubclass(kind.cls, Translations):
            return ColumnType.LOCALIZED
        case inspect.DateTimeType():
            return ColumnType.TIME
        case inspect.BoolType():
            return ColumnType.FLAG
        case inspect.IntType():
            return ColumnType.WHOLE
        case inspect.FloatType() | inspect.DecimalType():
            return ColumnType.NUMBER
        case inspect.ListType() if isinstance(plain_type(kind.item_type), inspect.StrType):
            return ColumnType.LIST
        case inspect.DictType() | inspect.ListType():
            return ColumnType.JSON
    return ColumnType.TEXT


def parts_of(kind: type[Body], columns: Mapping[str, str], **stored_as: str) -> dict[str, str]:
    """Return the parts of a `MergeSpec` whose target has these columns.

    `stored_as` names the target's column for attributes of the body that have another name there.
    """
    names = {wire_name: stored_as.get(name, name) for name, (wire_name, _) in members_of(kind).items()}
    parts = {}
    for column in columns_of(kind):
        stored = STORED_AS.get(column.name) or names.get(column.name, "")
        if stored in columns:
            parts[column.name] = f"{stored}.*" if column.type is ColumnType.LOCALIZED else stored
    return parts


def staged_values(model: type[models.Model], kind: type[Body], types: Mapping[str, str]) -> BodyColumns:
    """Return what reads the values of staged rows from bodies of a kind, by name: jsonb columns as text.

    The first value is the version that the body expects. What a body leaves out is the model's default.
    """
    texts = [name for name, type_name in types.items() if type_name == "jsonb"]
    return BodyColumns(model, kind, ["expected_version", *types], parts=kind.parts, texts=texts)
