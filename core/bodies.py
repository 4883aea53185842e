"""What clients may send: one declaration of a body for the API, for files, for patches and for JSON Schema.

A body is a `msgspec.Struct`, declared in the app's `bodies.py`. `msgspec` reads it in well under a
microsecond a field and stops at the first fault; a body that it refuses is walked again, to name every one.

Null means an absent optional field, also for one whose type does not have null. Fields that are unknown
are ignored, since clients send back what they read.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from operator import attrgetter
from typing import Annotated, Any, ClassVar, Self, TypeVar

import msgspec
import orjson
from msgspec import Meta, Struct, inspect

from core.body_faults import NO_TEXT, faults
from core.errors import DomainError, InvalidBody, InvalidInput, Problem
from core.json_types import JsonMapping, JsonObject
from core.json_values import LARGEST_DOCUMENT
from core.representation.languages import NO_LANGUAGES, CustomType, LanguageContext
from core.tenancy.identifiers import CLIENT_ID
from core.text import CODE_AS_STORED, ID_AS_STORED, TYPOGRAPHIC_QUOTES, fault_of_id, trimmed
from core.timestamps import parse_time

LARGEST_VERSION = 2_147_483_647
LONGEST_REFERENCE = 128
MESSAGE = "message"  # the key in Meta.extra of the sentence that follows the name of the field
PASTED = (CODE_AS_STORED, ID_AS_STORED)  # the patterns of what loses what pasting adds
NOT_PLAIN = " +" + TYPOGRAPHIC_QUOTES  # what prints and is trimmed, and the sign of a shortened number
IS_ID = "is_id"  # the key in Meta.extra of a text that loses what pasting adds at its ends

Instant = Annotated[datetime, Meta(tz=True)]
"""An ISO 8601 time with an offset; see `core.timestamps.parse_time` for what else is read."""

ClientId = Annotated[
    str,
    Meta(
        pattern=rf"^(?!\.{{1,2}}$){CLIENT_ID.pattern}$(?!\n)",
        description="1 to 128 letters, digits and . _ - : ~ @, but not . or ..",
        extra={
            MESSAGE: "must be 1 to 128 characters out of letters, digits and . _ - : ~ @;"
            " . and .. are reserved",
            IS_ID: True,
        },
    ),
]
"""An id that a client may choose."""

OptionalReference = Annotated[
    str, Meta(max_length=LONGEST_REFERENCE, pattern=ID_AS_STORED, extra={IS_ID: True})
]
"""The id of something that exists already, or an empty text."""

Reference = Annotated[OptionalReference, Meta(min_length=1)]
"""The id of something that exists already; whether it does, the operation finds out."""

Code = Annotated[str, Meta(max_length=200, pattern=CODE_AS_STORED, extra={IS_ID: True})]
"""A code that people type, or an empty text; what pasting adds at its ends is trimmed."""

BodyType = TypeVar("BodyType", bound="Body")
MaybeMoment = TypeVar("MaybeMoment", datetime, datetime | None)


class Body(Struct, rename="camel", kw_only=True, gc=False):
    """The base of every body. Members are camelCase on the wire. (`gc=False`: no body is part of a cycle.)

    `documented` describes members that do not do so themselves, by their names on the wire; what clients
    read under the same names is described in the same words.

    A rule over several fields is a `__post_init__` that raises ValueError; `{path}` in its sentence becomes
    the path of the object. `parts` names the member that a property reads: without it the property is empty.
    `refused_as` is the error of one that cannot be read.
    """

    refused_as: ClassVar[type[InvalidBody]] = InvalidBody
    parts: ClassVar[Mapping[str, str]] = {}
    documented: ClassVar[Mapping[str, JsonMapping]] = {}


class Validity(Body):
    """A window of time. Both ends are included; an absent end is open."""

    starts_at: Annotated[Instant | None, Meta(description="The first instant; absent: no start.")] = (
        msgspec.field(name="from", default=None)
    )
    ends_at: Annotated[Instant | None, Meta(description="The last instant; absent: no end.")] = msgspec.field(
        name="to", default=None
    )

    def __post_init__(self) -> None:  # a bulk runs it 200 times, mostly on instants in UTC
        starts_at, ends_at = self.starts_at, self.ends_at
        if starts_at and starts_at.tzinfo is not UTC:
            self.starts_at = starts_at = in_utc(starts_at)
        if ends_at and ends_at.tzinfo is not UTC:
            self.ends_at = ends_at = in_utc(ends_at)
        if starts_at and ends_at and starts_at > ends_at:
            raise ValueError("{path}.from must not be later than {path}.to.")


class Windowed:
    """The ends of the window of a body that has a member `validity`, under the names of their columns."""

    __slots__ = ()

    validity: Validity | None

    @property
    def valid_from(self) -> datetime | None:
        """The start of the window; None when it is open."""
        return self.validity.starts_at if self.validity else None

    @property
    def valid_to(self) -> datetime | None:
        """The end of the window; None when it is open."""
        return self.validity.ends_at if self.validity else None


class Metadata(Body):
    """What a client may say about a document besides its contents."""

    version: Annotated[
        Annotated[int, Meta(ge=0, le=LARGEST_VERSION)] | None,
        Meta(description="The version that is changed; another stored one is refused. Absent: no check."),
    ] = None
    mixins: Annotated[JsonObject | None, Meta(description="The address of each mixin's schema.")] = None


class SchemaMetadata(Metadata, kw_only=True):
    """What a client may say about a document, with the addresses of the schemas of its mixins."""

    mixins: Annotated[dict[str, str] | None, Meta(description="The address of each mixin's schema.")] = None


class SearchBody(Body, kw_only=True):
    """A search."""

    q: Annotated[str | None, Meta(description="As the parameter q of the list.")] = None


class DocumentBody(Body):
    """A body with free attributes and optimistic locking."""

    parts = {"expected_version": "metadata", "mixin_schemas": "metadata"}

    mixins: Annotated[JsonObject | None, Meta(description="Free attributes.")] = None
    metadata: Annotated[Metadata | None, Meta(description="The version and the mixins' schemas.")] = None

    @property
    def expected_version(self) -> int | None:
        """The version that the client read; None when it wants no check."""
        return self.metadata.version if self.metadata else None

    @property
    def mixin_schemas(self) -> JsonObject | None:
        """The addresses of the mixins' schemas by mixin; None when they were not sent."""
        return self.metadata.mixins if self.metadata else None


class DocumentTooLarge(InvalidInput):
    """The document has more than LARGEST_DOCUMENT bytes, and more than what is stored."""

    code = "document_too_large"


def document_size(document: object) -> int:
    """Return the number of bytes of the document as compact JSON."""
    return len(orjson.dumps(document, default=str))


def check_document_size(document: object, *, stored: object = None, field: str = "") -> None:
    """Raise DocumentTooLarge for more than 256 KB; one that is stored already may be as large as it is.

    No constraint repeats this in the database: it would refuse every update of a document that was stored
    when larger ones were allowed.
    """
    size = document_size(document)
    if size > LARGEST_DOCUMENT and size > document_size(stored):
        raise DocumentTooLarge(
            f"{field or 'The document'} has {size // 1024} KB; the limit is {LARGEST_DOCUMENT // 1024} KB."
            " Keep large contents elsewhere, and their addresses here.",
            field=field,
        )


class ExactNumber(Decimal):
    """A number from 0 to `largest` as it was written, but to `finest`; a text is none."""

    largest: ClassVar[Decimal]
    finest: ClassVar[Decimal] = Decimal("0.000001")

    @classmethod
    def read(cls, value: object, languages: LanguageContext, *, field: str) -> Self:
        """Return the number of a body; raise InvalidInput unless it is one within the bounds."""
        is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
        number = Decimal(str(value)) if is_number else None
        if number is None or not number.is_finite():
            raise InvalidInput(f"{field} must be a number.", field=field)
        if not 0 <= number <= cls.largest:
            raise InvalidInput(f"{field} must be between 0 and {cls.largest}.", field=field)
        return cls(number.quantize(cls.finest, rounding=ROUND_HALF_UP) + 0)  # never -0

    @classmethod
    def schema(cls) -> JsonObject:
        """Return the JSON Schema."""
        return {"type": "number", "minimum": 0, "maximum": int(cls.largest)}


def read_body(kind: type[BodyType], value: object, *, languages: LanguageContext | None = None) -> BodyType:
    """Return the value as a body of the kind; raise its InvalidBody, naming every field that is wrong.

    `languages` are those of its localized fields.
    """
    try:
        return msgspec.convert(value, kind, dec_hook=languages.read if languages else _read_custom)
    except (msgspec.ValidationError, InvalidInput) as refused:
        return _read_slowly(kind, value, languages or NO_LANGUAGES, refused)


def _read_custom(kind: type[CustomType], value: object) -> object:
    """Read a value that msgspec has no type for, of a body without localized fields."""
    return kind.read(value, NO_LANGUAGES, field="")


def read_bodies(
    kind: type[BodyType], values: Sequence[object], *, languages: LanguageContext = NO_LANGUAGES
) -> list[BodyType | DomainError]:
    """Return each value as a body of the kind, or the error that names what is wrong with it."""
    unmatched, ids = _without_patterns(kind)
    try:
        bodies = msgspec.convert(values, list[unmatched], dec_hook=languages.read)  # type: ignore[valid-type]
        if all(_are_plain(map(read, bodies)) for read in ids):
            return bodies
        return msgspec.convert(values, list[kind], dec_hook=languages.read)  # type: ignore[valid-type]
    except (msgspec.ValidationError, InvalidInput):
        return [_body_or_error(kind, value, languages) for value in values]


@cache
def _without_patterns(kind: type[BodyType]) -> tuple[type[BodyType], list[Callable[[BodyType], str | None]]]:
    """Return the kind with ids and codes that may be any text, and what reads each of them.

    msgspec calls Python for every pattern, which takes most of the time of reading rows that say little else.
    """
    members = []
    for field in msgspec.structs.fields(kind):
        described = inspect.type_info(field.type)
        text = _text_of(described)
        if text is not None and text.pattern in PASTED:
            bounded = Annotated[str, Meta(min_length=text.min_length, max_length=text.max_length)]
            member = msgspec.field(name=field.encode_name, default=field.default)
            members.append((field.name, bounded | None if has_null(described) else bounded, member))
    if not members:
        return kind, []
    unmatched: Any = msgspec.defstruct(kind.__name__, members, bases=(kind,), kw_only=True)
    return unmatched, [attrgetter(name) for name, *_ in members]


def _text_of(kind: inspect.Type) -> inspect.StrType | None:
    """Return the type of a text or of an optional one; None for another type."""
    match kind:
        case inspect.Metadata():
            return _text_of(kind.type)
        case inspect.UnionType(types=(member, inspect.NoneType())):
            return _text_of(member)
        case inspect.StrType():
            return kind
    return None


def _are_plain(texts: Iterable[str | None]) -> bool:
    """Say whether all texts are seen at once to match every one of PASTED; others may match them too."""
    joined = "".join(filter(None, texts))
    return joined.isprintable() and not any(character in joined for character in NOT_PLAIN)


def _body_or_error(kind: type[BodyType], value: object, languages: LanguageContext) -> BodyType | DomainError:
    if isinstance(value, DomainError):  # an entry that was refused before it could be read
        return value
    try:
        return read_body(kind, value, languages=languages)
    except InvalidInput as error:
        return error


def _read_slowly(
    kind: type[BodyType], value: object, languages: LanguageContext, refused: Exception
) -> BodyType:
    """Find every fault of a refused body; without one, read it with the times rewritten for msgspec."""
    walk = _Walk(languages)
    read = walk.value(_described(kind), value, "")
    if walk.problems:
        raise kind.refused_as(walk.problems)
    try:
        return msgspec.convert(read, kind, dec_hook=languages.read)
    except msgspec.ValidationError as fault:  # a rule over several fields, in a `__post_init__`
        message, _, place = str(fault).partition(" - at `$")
        path = place.strip(".`")
        problem = Problem(path, "invalid", message.replace("{path}", path))
        raise kind.refused_as([problem]) from refused


@cache
def _described(kind: type[Struct]) -> inspect.Type:
    return inspect.type_info(kind)


class _Walk:
    """Collects the faults of one body; rewrites times that only `parse_time` can read, and pasted ids."""

    def __init__(self, languages: LanguageContext) -> None:
        self.languages = languages
        self.problems: list[Problem] = []

    def refuse(self, path: str, message: str) -> None:
        text = f"{path or 'The body'} {message}."
        self.problems.append(Problem(path, "invalid", text))

    def value(self, kind: inspect.Type, value: object, path: str, message: str = "") -> object:
        """Return the value as `msgspec.convert` takes it; note what is wrong with it."""
        match kind:
            case inspect.Metadata():
                extra = kind.extra or {}
                if extra.get(IS_ID) and isinstance(value, str):
                    return self.id(kind.type, trimmed(value), path, extra.get(MESSAGE, message))
                return self.value(kind.type, value, path, extra.get(MESSAGE, message))
            case inspect.UnionType():
                return self.union(kind, value, path, message)
            case inspect.StructType():
                return self.struct(kind, value, path)
            case inspect.DateTimeType():
                return self.instant(value, path)
            case inspect.CustomType():
                return self.custom(kind, value, path)
            case inspect.ListType():
                return self.list(kind, value, path)
            case inspect.DictType():
                return self.dict(kind, value, path)
            case inspect.AnyType():
                return value
            case inspect.IntType() if isinstance(value, float) and value.is_integer():
                value = int(value)  # 5.0 of a client that has only one type of numbers
        for fault in faults(kind, value):
            self.refuse(path, fault if fault == NO_TEXT or not message else message)
            break
        return value

    def id(self, kind: inspect.Type, value: str, path: str, message: str) -> str:
        """Read an id, of which blanks, invisible characters and quotes that pasting adds are trimmed."""
        for fault in faults(kind, value):
            hint = f"; {found}" if (found := fault_of_id(value)) else ""
            self.refuse(path, (message or fault) + hint)
            break
        return value

    def union(self, kind: inspect.UnionType, value: object, path: str, message: str) -> object:
        """Read an optional value. Unions of anything but one type and null are msgspec's to judge."""
        members = [member for member in kind.types if not isinstance(member, inspect.NoneType)]
        if value is None and len(members) < len(kind.types):
            return None
        return self.value(members[0], value, path, message) if len(members) == 1 else value

    def struct(self, kind: inspect.StructType, value: object, path: str) -> object:
        if not isinstance(value, Mapping):
            self.refuse(path, "must be an object")
            return value
        read = dict(value)
        for field in kind.fields:
            name = field.encode_name
            inner = f"{path}.{name}" if path else name
            if name not in value or (value[name] is None and field.required):
                if field.required:
                    self.refuse(inner, "is missing")
                continue
            if value[name] is None and not has_null(field.type):
                del read[name]
                continue
            read[name] = self.value(field.type, value[name], inner)
        return read

    def list(self, kind: inspect.ListType, value: object, path: str) -> object:
        if not isinstance(value, list):
            self.refuse(path, "must be a list")
            return value
        if kind.max_length is not None and len(value) > kind.max_length:
            self.refuse(path, f"has more than {kind.max_length} entries")
            return value
        if kind.min_length is not None and len(value) < kind.min_length:
            self.refuse(path, f"needs at least {kind.min_length} entries")
        return [self.value(kind.item_type, entry, f"{path}[{index}]") for index, entry in enumerate(value)]

    def dict(self, kind: inspect.DictType, value: object, path: str) -> object:
        if not isinstance(value, dict):
            self.refuse(path, "must be an object")
            return value
        return {name: self.value(kind.value_type, entry, f"{path}.{name}") for name, entry in value.items()}

    def instant(self, value: object, path: str) -> object:
        if isinstance(value, datetime):
            return value
        return self.refused_by(path, value, lambda: parse_time(value, field=path))

    def custom(self, kind: inspect.CustomType, value: object, path: str) -> object:
        custom: type[CustomType] = kind.cls
        self.refused_by(path, value, lambda: custom.read(value, self.languages, field=path))
        return value

    def refused_by(self, path: str, value: object, read: Callable[[], object]) -> object:
        try:
            return read()
        except InvalidInput as error:
            self.problems.append(Problem(error.field or path, error.code, error.message))
            return value


class _Bounds(_Walk):
    """Collects the texts and lists of a body made by code that break the declared lengths and patterns."""

    def value(self, kind: inspect.Type, value: object, path: str, message: str = "") -> object:
        match kind:
            case inspect.StructType() if isinstance(value, Struct):
                for field in kind.fields:
                    inner = f"{path}.{field.encode_name}" if path else field.encode_name
                    self.value(field.type, getattr(value, field.name), inner)
            case inspect.Metadata() | inspect.UnionType() | inspect.ListType() | inspect.StrType():
                super().value(kind, value, path, message)
        return value


def bound_problems(body: Struct) -> list[Problem]:
    """Return which texts and lists of a body break its lengths and patterns; the rest is taken as right.

    For forms that make a body of their own entries: what the API refuses is refused there too.
    """
    bounds = _Bounds(NO_LANGUAGES)
    bounds.value(_described(type(body)), body, "")
    return bounds.problems


def has_null(kind: inspect.Type) -> bool:
    """Say whether null is a value of the type."""
    match kind:
        case inspect.Metadata():
            return has_null(kind.type)
        case inspect.UnionType():
            return any(map(has_null, kind.types))
    return isinstance(kind, inspect.NoneType | inspect.AnyType)


def in_utc(moment: MaybeMoment) -> MaybeMoment:
    """Return the instant in UTC, as operations and the database have it.

    In a `__post_init__` the ValueError for one that is outside of the years 1 to 9999 there becomes the
    error that names its field.
    """
    try:
        return moment.astimezone(UTC) if moment else moment
    except OverflowError as error:
        raise ValueError("The time is outside of the years 1 to 9999.") from error
