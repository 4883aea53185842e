"""What the bodies of this app have in common: their texts, how they become columns, and the id of a 201.

Members have the names of the model's columns where they are stored in one, and camelCase or the name given on
the wire. `DocumentBody.mixins` and `metadata.mixins` are the columns `mixins` and `mixin_schemas`.
"""

from functools import cache
from typing import Annotated, ClassVar, Self

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator, validate_email
from msgspec import Meta, Struct

from accounts.operations.documents import Change
from core.bodies import MESSAGE, Body, DocumentBody
from core.errors import InvalidInput
from core.json_types import JsonObject
from core.model_fields import concrete_field
from core.patches import metadata_of
from core.representation.languages import LanguageContext
from core.tenancy.documents import Document
from core.text import has_visible_character, normalized, trimmed

check_url = URLValidator(schemes=["http", "https"])

Text20 = Annotated[str, Meta(max_length=20)]
Text60 = Annotated[str, Meta(max_length=60)]
Text100 = Annotated[str, Meta(max_length=100)]
Text150 = Annotated[str, Meta(max_length=150)]
Text200 = Annotated[str, Meta(max_length=200)]
Text300 = Annotated[str, Meta(max_length=300)]
Password = Annotated[str, Meta(min_length=1, max_length=128)]

Currency = Annotated[
    str, Meta(pattern=r"^[A-Z]{3}$(?!\n)", extra={MESSAGE: "must be three capital letters, such as EUR"})
]
LanguageTag = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$(?!\n)",
        max_length=35,
        extra={MESSAGE: "must be a language such as en or de_CH"},
    ),
]


class ReadText(str):
    """The base of texts that need more than a pattern: `check` returns the text to keep."""

    max_length: ClassVar[int]
    schema_format: ClassVar[str] = ""

    @classmethod
    def read(cls, value: object, languages: LanguageContext, *, field: str) -> Self:
        """Return the text; raise InvalidInput naming the field when it cannot be one."""
        if not isinstance(value, str):
            raise InvalidInput(f"{field} must be a text.", field=field)
        text = cls.check(value, field=field)
        if len(text) > cls.max_length:
            raise InvalidInput(f"{field} is longer than {cls.max_length} characters.", field=field)
        return cls(text)

    @classmethod
    def check(cls, value: str, *, field: str) -> str:
        raise NotImplementedError

    @classmethod
    def schema(cls) -> JsonObject:
        """Return the JSON Schema."""
        described: JsonObject = {"type": "string", "maxLength": cls.max_length}
        return {**described, "format": cls.schema_format} if cls.schema_format else described


class EmailAddress(ReadText):
    """An e-mail address, in NFC and without invisible characters at its ends."""

    max_length = 254
    schema_format = "email"

    @classmethod
    def check(cls, value: str, *, field: str) -> str:
        address = normalized(trimmed(value))
        try:
            validate_email(address)
        except ValidationError:
            raise InvalidInput(f"{field} must be an e-mail address.", field=field) from None
        return address


class WebAddress(ReadText):
    """The address of a page or file, or nothing."""

    max_length = 2_000
    schema_format = "uri"

    @classmethod
    def check(cls, value: str, *, field: str) -> str:
        address = value.strip()
        try:
            if address:
                check_url(address)
        except ValidationError:
            raise InvalidInput(f"{field} must begin with http:// or https://.", field=field) from None
        return address


class PlainName(ReadText):
    """The name of a thing, of which something can be seen."""

    max_length = 300

    @classmethod
    def check(cls, value: str, *, field: str) -> str:
        if not has_visible_character(value):
            raise InvalidInput(f"{field} must not be empty.", field=field)
        return normalized(value.strip())


class RowBody(DocumentBody):
    """A document whose members are columns of `model`, under the same names.

    Writes replace: what the body leaves out gets the column's default, apart from the columns of `kept`,
    which a write that says nothing of them keeps. Members of `apart` are no columns: the operation
    takes them in another way.
    """

    model: ClassVar[type[Document]]
    kept: ClassVar[frozenset[str]] = frozenset()
    apart: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    @cache
    def columns(cls) -> tuple[str, ...]:
        """Return the names of the columns that the body says."""
        taken = {field.attname for field in cls.model._meta.concrete_fields}
        taken -= {*cls.apart, *DocumentBody.__struct_fields__, "id"}
        return tuple(name for name in cls.__struct_fields__ if name in taken)

    def change(self) -> Change:
        """Return what the body says, as columns, and the version that the client has seen."""
        values = self.values()
        values["mixins"] = self.mixins
        values["mixin_schemas"] = self.mixin_schemas
        return Change(values, self.expected_version)

    def values(self) -> JsonObject:
        """Return the values of the model's own columns."""
        values: JsonObject = {}
        for name in self.columns():
            value = getattr(self, name)
            if value is not None:
                values[name] = json_value(value)
            elif name not in self.kept:
                values[name] = concrete_field(self.model, name).get_default()
        return values

    @classmethod
    def document(cls, row: Document) -> JsonObject:
        """Return the row as a patch sees it: what clients write of it, under the names on the wire."""
        names = dict(zip(cls.__struct_fields__, cls.__struct_encode_fields__, strict=True))
        found: JsonObject = {names[column]: getattr(row, column) for column in cls.columns()}
        found["mixins"] = row.mixins
        found["metadata"] = metadata_of(row)
        return {name: value for name, value in found.items() if value is not None}


def json_value(value: object) -> object:
    """Return a member as its column takes it: texts trimmed and in NFC, objects without absent members."""
    if isinstance(value, str):
        return normalized(str(value).strip())
    if isinstance(value, list):
        return [json_value(entry) for entry in value]
    if isinstance(value, Struct):
        members = zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True)
        pairs = [(shown, getattr(value, name)) for name, shown in members]
        return {name: json_value(member) for name, member in pairs if member is not None}
    return value


class ResourceId(Body):
    """The id of what was created."""

    id: Annotated[str, Meta(description="The id of what was created.")]
