"""What clients send of segments and their assignments, by the API, files and forms alike.

The attributes of a body have the names of the columns that they are written to; `BodyColumns`
(core/sql/upserts.py) relies on that.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Final, Literal, NamedTuple, TypeAlias

import msgspec
from msgspec import Meta

from core.bodies import (
    IS_ID,
    LONGEST_REFERENCE,
    MESSAGE,
    Body,
    DocumentBody,
    Reference,
    Validity,
    Windowed,
    read_body,
)
from core.errors import DomainError, InvalidInput
from core.json_types import JsonObject
from core.patches import metadata_of
from core.representation.languages import LanguageContext, Name, Translations
from core.tenancy.identifiers import CLIENT_ID
from core.text import trimmed
from segments.models import CustomerAssignment, ItemAssignment, Segment

MOST_MATCHED_ITEMS: Final = 1000
MOST_MATCHED_SEGMENTS: Final = 200
RESERVED_IDS: Final = sorted(Segment.reserved_ids)

WireIds: TypeAlias = tuple[str | None, ...]

SegmentId = Annotated[
    str,
    Meta(
        pattern=rf"^(?!({'|'.join(map(re.escape, RESERVED_IDS))})$)({CLIENT_ID.pattern})$(?!\n)",
        description="1 to 128 letters, digits and . _ - : ~ @, but no reserved word:"
        f" {' '.join(RESERVED_IDS)}",
        extra={
            IS_ID: True,
            MESSAGE: "must be 1 to 128 characters out of letters, digits and . _ - : ~ @,"
            f" and none of the words that addresses of this service use: {' '.join(RESERVED_IDS)}",
        },
    ),
]
"""The id of a segment, as a client may choose it."""

CustomerId = Annotated[Reference, Meta(description="The customer's number.")]
LegalEntityId = Annotated[
    Reference, Meta(description="The legal entity that the customer acts for; absent for B2C.")
]


class WindowedBody(DocumentBody, Windowed, kw_only=True):
    """A document that counts only within its window of validity."""

    parts = {**DocumentBody.parts, "valid_from": "validity", "valid_to": "validity"}

    validity: Annotated[
        Validity | None, Meta(description="When it counts; an absent end is open. Absent: always.")
    ] = None


Status = Literal["ACTIVE", "INACTIVE"]


class SegmentFields(WindowedBody, kw_only=True):
    """What can be said of a segment. All of it is optional in files, which may hold only some columns."""

    id: Annotated[SegmentId | None, Meta(description="The segment's id; generated when absent.")] = None
    site_code: Annotated[
        Reference | None, Meta(description="The code of the site that the segment is for.")
    ] = None
    name: Annotated[
        Name | None,
        Meta(description="Texts by language; or one text, in the language of Content-Language."),
    ] = None
    description: Annotated[
        Translations | None,
        Meta(description="Texts by language; or one text, in the language of Content-Language."),
    ] = None
    status: Annotated[
        Status | None,
        Meta(description="Only an active segment counts for shoppers. Absent: INACTIVE."),
    ] = None


class SegmentBody(SegmentFields, kw_only=True):
    """A whole segment."""

    site_code: Annotated[Reference, Meta(description="The code of the site that the segment is for.")]
    name: Annotated[
        Name, Meta(description="Texts by language; or one text, in the language of Content-Language.")
    ]


class IdentifiedSegmentBody(SegmentBody, kw_only=True):
    """A whole segment that has an id."""

    id: Annotated[SegmentId, Meta(description="The segment's id.")]


class AssignmentBody(WindowedBody, kw_only=True):
    """What an assignment says besides its customer or item."""

    wire_id_names: ClassVar[tuple[str, ...]]

    @property
    def wire_ids(self) -> WireIds:
        """The ids of the customer or item, one for each reference of the kind."""
        return tuple([getattr(self, name) for name in self.wire_id_names])


class Member(NamedTuple):
    """The customer of an assignment and the legal entity that they act for (None: B2C), by wire ids."""

    customer_id: str
    legal_entity_id: str | None = None


class MemberBody(Body, kw_only=True):
    """The customer of an assignment."""

    customer_id: CustomerId
    legal_entity_id: LegalEntityId | None = None


class CustomerAssignmentBody(AssignmentBody, kw_only=True):
    """An assignment of a customer, by themselves (B2C) or for a legal entity (B2B)."""

    wire_id_names = ("customer_id", "legal_entity_id")

    customer_id: CustomerId
    legal_entity_id: LegalEntityId | None = None


class ItemBody(AssignmentBody, kw_only=True):
    """What an assignment of an item says besides the item."""

    includes_subcategories: Annotated[
        bool | None,
        Meta(description="Categories only: whether all descendants count too, also those added later."),
    ] = msgspec.field(name="includeSubcategories", default=None)


class ItemAssignmentBody(ItemBody, kw_only=True):
    """An assignment of an item."""

    wire_id_names = ("id",)

    id: Annotated[Reference, Meta(description="The id of the product or category.")]


class MatchItem(Body, kw_only=True):
    """A product."""

    id: Annotated[Reference, Meta(description="The product's id.")]


class MatchBody(Body, kw_only=True):
    """The products to look for, and the segments to look in. `read_match` reads it."""

    items: Annotated[list[MatchItem], Meta(max_length=MOST_MATCHED_ITEMS, description="The products.")]
    segment_ids: Annotated[
        list[Reference],
        Meta(max_length=MOST_MATCHED_SEGMENTS, description="The segments; only effective ones count."),
    ]
    site_code: Annotated[Reference, Meta(description="The site; only its segments count.")]
    site: Annotated[Reference | None, Meta(description="Another name of siteCode.")] = None

    def __post_init__(self) -> None:
        if self.site not in (None, self.site_code):
            raise InvalidInput("site and siteCode name different sites; send one of them.", field="siteCode")


class SegmentCreated(Body, kw_only=True):
    """The response to a creation."""

    id: Annotated[str, Meta(description="The segment's id.")]


class BulkAssignmentResult(Body, kw_only=True):
    """What became of one entry of a bulk body."""

    index: Annotated[int, Meta(description="The entry's position in the body, from 1.")]
    code: Annotated[int, Meta(description="The status code that the entry would have got by itself.")]
    status: Annotated[str, Meta(description="The name of the code: Created, OK, Bad Request, Conflict.")]
    message: Annotated[str | None, Meta(description="Why the entry was refused.")] = None


class RefusalDetails(Body, kw_only=True):
    """More about a refusal."""

    more_info: Annotated[str, Meta(description="What the deletion would do, without forceDelete.")]


class BulkSegmentResult(BulkAssignmentResult, kw_only=True):
    """What became of one segment of a bulk body."""

    id: Annotated[str | None, Meta(description="The segment's id.")] = None
    details: Annotated[
        RefusalDetails | None, Meta(description="Of segments that are not empty, and not forced to go.")
    ] = None


def read_segment(value: object, languages: LanguageContext, *, segment_id: str) -> IdentifiedSegmentBody:
    """Read a whole segment whose id the address names; an id in the body must be the same."""
    segment_id = _of_address(segment_id, "segmentId")
    if isinstance(value, dict):
        named = value.get("id")
        if named is not None and (not isinstance(named, str) or trimmed(named) != segment_id):
            raise InvalidInput("The id in the body is not the one in the path.", field="id")
        value = {**value, "id": segment_id}
    return read_body(IdentifiedSegmentBody, value, languages=languages)


def read_customer_assignment(value: object, member: Member) -> CustomerAssignmentBody:
    """Read an assignment of the member that the address names; without a body it is empty."""
    ids = {
        "customerId": _of_address(member.customer_id, "customerId"),
        "legalEntityId": member.legal_entity_id and _of_address(member.legal_entity_id, "legalEntityId"),
    }
    return read_body(CustomerAssignmentBody, _with_ids(value, ids))


def read_item_assignment(value: object, *, item_id: str) -> ItemAssignmentBody:
    """Read an assignment of the item that the address names; without a body it is empty."""
    return read_body(ItemAssignmentBody, _with_ids(value, {"id": _of_address(item_id, "itemId")}))


def _of_address(value: str, field: str) -> str:
    """Return the id that the address names; refuse one that would be trimmed, as no other address is it."""
    if value != trimmed(value):
        raise InvalidInput(
            f"{field} in the address must not begin or end with blanks, invisible characters or quotes.",
            field=field,
        )
    return value


def _with_ids(value: object, ids: Mapping[str, str | None]) -> object:
    if value is None:
        return ids
    return {**value, **ids} if isinstance(value, dict) else value


def read_match(value: object) -> MatchBody:
    """Read which products to look for; `site` is another name of `siteCode`."""
    if isinstance(value, dict) and value.get("siteCode") is None:
        value = {**value, "siteCode": value.get("site")}
    return read_body(MatchBody, value)


def read_ids(entries: Sequence[object]) -> list[str | DomainError]:
    """Read the ids of a bulk deletion; one that cannot be an id becomes its error."""
    ids = [trimmed(entry) if isinstance(entry, str) else "" for entry in entries]
    return [
        found
        if 1 <= len(found) <= LONGEST_REFERENCE
        else InvalidInput(f"id must be a text of 1 to {LONGEST_REFERENCE} characters.", field="id")
        for found in ids
    ]


def segment_document(segment: Segment) -> JsonObject:
    """Return the segment as its body says it; this is what a patch changes."""
    return document_of(segment, IdentifiedSegmentBody, id=segment.external_id, siteCode=segment.site.code)


def customer_assignment_document(assignment: CustomerAssignment) -> JsonObject:
    entity = assignment.legal_entity
    return document_of(
        assignment,
        CustomerAssignmentBody,
        customerId=assignment.customer.external_id,
        legalEntityId=entity.external_id if entity else None,
    )


def item_assignment_document(assignment: ItemAssignment) -> JsonObject:
    item = assignment.product or assignment.category
    assert item is not None
    return document_of(assignment, ItemAssignmentBody, id=item.external_id)


def document_of(
    row: Segment | CustomerAssignment | ItemAssignment, kind: type[WindowedBody], **known: object
) -> JsonObject:
    """Return a row as a body of the kind says it, with the members that are `known`.

    The window is exact to the microsecond, which responses are not.
    """
    window = {"from": row.valid_from, "to": row.valid_to}
    known["validity"] = {end: moment.isoformat() for end, moment in window.items() if moment}
    known["metadata"] = metadata_of(row)
    said = (
        (field.encode_name, known.get(field.encode_name, getattr(row, field.name, None)))
        for field in msgspec.structs.fields(kind)
    )
    return {name: value for name, value in said if value is not None}


def expecting(version: int | None, document: JsonObject) -> JsonObject:
    """Return the document as a write that expects this version of it; None expects any."""
    return {**document, "metadata": {**document["metadata"], "version": version}}
