"""Reads the bodies of writes into rows of operations: one row alone and each row of a bulk alike.

Written by hand, because a bulk reads 200 of them: each function costs a few microseconds and raises
InvalidInput naming the first field that breaks a rule. Null stands for an absent optional field; fields that
are unknown or written by the service are ignored, so that clients may send back what they read.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from core.errors import DomainError, InvalidInput, MalformedBody
from core.representation.languages import read_translations
from core.tenancy.identifiers import check_client_id
from core.timestamps import parse_validity
from segments.operations.customers import CustomerRow, Member
from segments.operations.items import ItemRow
from segments.operations.segments import SegmentRow

LONGEST_NAME = 500
LONGEST_DESCRIPTION = 10_000
LONGEST_REFERENCE = 128
LARGEST_VERSION = 2_147_483_647
STATUSES = ("ACTIVE", "INACTIVE")
# Most rows of a bulk say whom or what they assign, and nothing more.
MEMBER_FIELDS = frozenset({"customerId", "legalEntityId"})
ITEM_FIELDS = frozenset({"id"})

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class LanguageContext:
    """In which language a text stands that is written for a localized field."""

    content_language: str | None
    default_language: str


def read_rows(entries: Sequence[Any], read: Callable[[Any], Row]) -> list[Row | DomainError]:
    """Read each entry of a bulk body; one that breaks a rule becomes its error."""
    rows: list[Row | DomainError] = []
    for entry in entries:
        if isinstance(entry, DomainError):  # refused before it could be read
            rows.append(entry)
            continue
        try:
            rows.append(read(entry))
        except InvalidInput as refused:
            rows.append(refused)
    return rows


def as_object(entry: object) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise MalformedBody("An object is expected.")
    return entry


def as_optional_object(entry: object) -> dict[str, Any]:
    """Read a body whose fields are all optional; without a body it is empty."""
    return {} if entry is None else as_object(entry)


def read_reference(value: object, *, field: str) -> str:
    """Return the id of something that exists elsewhere; whether it does is not asked here."""
    if not isinstance(value, str) or not value:
        raise InvalidInput(f"{field} is missing, or not a text.", field=field)
    if len(value) > LONGEST_REFERENCE:
        raise InvalidInput(f"{field} is longer than {LONGEST_REFERENCE} characters.", field=field)
    return value


def read_object(container: dict[str, Any], name: str, *, field: str) -> dict[str, Any]:
    """Return an optional object; absent and null are an empty one."""
    value = container.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidInput(f"{field} must be an object.", field=field)
    return value


def read_metadata(entry: dict[str, Any]) -> tuple[dict[str, Any], int | None]:
    """Return the addresses of mixin schemas, and the version that the client saw."""
    metadata = entry.get("metadata")
    if metadata is None:
        return {}, None
    if not isinstance(metadata, dict):
        raise InvalidInput("metadata must be an object.", field="metadata")
    version = metadata.get("version")
    if version is not None and (
        type(version) is not int or not 0 <= version <= LARGEST_VERSION  # a boolean is no version
    ):
        raise InvalidInput("metadata.version must be a whole number.", field="metadata.version")
    return read_object(metadata, "mixins", field="metadata.mixins"), version


def read_flag(entry: dict[str, Any], name: str) -> bool:
    """Return an optional boolean; absent and null are false."""
    value = entry.get(name)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise InvalidInput(f"{name} must be true or false.", field=name)
    return value


def read_segment(body: object, languages: LanguageContext, *, segment_id: str) -> SegmentRow:
    """Read a whole segment; `segment_id` empty means that the service generates one."""
    entry = as_object(body)
    name = entry.get("name")
    if name is None:
        raise InvalidInput("name is missing.", field="name")
    description = entry.get("description")
    status = entry.get("status")
    if status is None:
        status = "INACTIVE"
    elif status not in STATUSES:
        raise InvalidInput("status must be ACTIVE or INACTIVE.", field="status")
    starts_at, ends_at = parse_validity(entry.get("validity"))
    schemas, version = read_metadata(entry)
    return SegmentRow(
        id=segment_id,
        site_code=read_reference(entry.get("siteCode"), field="siteCode"),
        name=localized(name, languages, field="name", longest=LONGEST_NAME),
        description={}
        if description is None
        else localized(description, languages, field="description", longest=LONGEST_DESCRIPTION),
        status=status,
        valid_from=starts_at,
        valid_to=ends_at,
        mixins=read_object(entry, "mixins", field="mixins"),
        mixin_schemas=schemas,
        expected_version=version,
    )


def localized(value: object, languages: LanguageContext, *, field: str, longest: int) -> dict[str, str]:
    return read_translations(
        value, languages.content_language, languages.default_language, field=field, max_length=longest
    )


def read_new_segment(body: object, languages: LanguageContext) -> SegmentRow:
    """Read a segment to create, whose id is the client's or to be generated."""
    chosen = as_object(body).get("id")
    segment_id = "" if chosen is None else check_client_id(chosen, field="id")
    return read_segment(body, languages, segment_id=segment_id)


def read_identified_segment(body: object, languages: LanguageContext) -> SegmentRow:
    """Read a segment of a bulk upsert, which names its id itself."""
    return read_segment(body, languages, segment_id=check_client_id(as_object(body).get("id"), field="id"))


def read_named_segment(body: object, languages: LanguageContext, *, segment_id: str) -> SegmentRow:
    """Read a segment whose id the path names; an id in the body must be the same."""
    check_client_id(segment_id, field="segmentId")
    if as_object(body).get("id") not in (None, segment_id):
        raise InvalidInput("The id in the body is not the one in the path.", field="id")
    return read_segment(body, languages, segment_id=segment_id)


def read_deleted_segment(entry: object) -> str:
    """Read an entry of a bulk deletion of segments: an id."""
    return read_reference(entry, field="id")


def read_member(entry: object) -> Member:
    """Read whom a row assigns: `customerId`, and `legalEntityId` for B2B."""
    fields = as_object(entry)
    customer = read_reference(fields.get("customerId"), field="customerId")
    legal_entity = fields.get("legalEntityId")
    if legal_entity is not None:
        read_reference(legal_entity, field="legalEntityId")
    return Member(customer, legal_entity)


def read_customer_row(body: object, member: Member) -> CustomerRow:
    """Read a whole assignment of the member."""
    entry = as_optional_object(body)
    starts_at, ends_at = parse_validity(entry.get("validity"))
    schemas, version = read_metadata(entry)
    return CustomerRow(
        member=member,
        mixins=read_object(entry, "mixins", field="mixins"),
        mixin_schemas=schemas,
        valid_from=starts_at,
        valid_to=ends_at,
        expected_version=version,
    )


def read_bulk_customer_row(entry: object) -> CustomerRow:
    """Read an entry of a bulk upsert of customers, which names its member itself."""
    fields = as_object(entry)
    member = read_member(fields)
    if MEMBER_FIELDS.issuperset(fields):
        return CustomerRow(member=member, mixins={}, mixin_schemas={})
    return read_customer_row(fields, member)


def read_item_row(body: object, *, item_id: str) -> ItemRow:
    """Read a whole assignment of the item."""
    entry = as_optional_object(body)
    starts_at, ends_at = parse_validity(entry.get("validity"))
    schemas, version = read_metadata(entry)
    return ItemRow(
        item_id=item_id,
        includes_subcategories=read_flag(entry, "includeSubcategories"),
        mixins=read_object(entry, "mixins", field="mixins"),
        mixin_schemas=schemas,
        valid_from=starts_at,
        valid_to=ends_at,
        expected_version=version,
    )


def read_bulk_item_row(entry: object) -> ItemRow:
    """Read an entry of a bulk upsert of items, which names its item itself."""
    fields = as_object(entry)
    item_id = read_reference(fields.get("id"), field="id")
    if ITEM_FIELDS.issuperset(fields):
        return ItemRow(item_id=item_id, mixins={}, mixin_schemas={})
    return read_item_row(fields, item_id=item_id)


def read_item_id(entry: object) -> str:
    """Read an entry of a bulk deletion of items: an id."""
    return read_reference(entry, field="id")
