"""One declaration of a body: read quickly when it is right, walked again to name every fault."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.bodies import (
    Body,
    ClientId,
    Code,
    DocumentBody,
    Instant,
    OptionalReference,
    Reference,
    Validity,
    read_bodies,
    read_body,
)
from core.body_schemas import schema_components
from core.errors import DomainError, InvalidBody
from core.json_types import JsonObject
from core.representation.languages import LanguageContext, Translations
from coupons.bodies import Restrictions
from events.bodies import Replay

GERMAN = LanguageContext("de", "en")


class Name(Translations):
    max_length = 10


class Line(Body, kw_only=True):
    id: Reference
    quantity: Annotated[int, msgspec.Meta(ge=1, le=9)] = 1


class Order(DocumentBody, kw_only=True):
    name: Name
    site_code: Reference
    id: ClientId | None = None
    status: Literal["ACTIVE", "INACTIVE"] | None = None
    is_gift: bool | None = None
    amount: Decimal | None = None
    placed_at: Instant | None = None
    validity: Validity | None = None
    lines: Annotated[list[Line], msgspec.Meta(max_length=2)] | None = None


BAD_ID = "id must be 1 to 128 characters out of letters, digits and . _ - : ~ @; . and .. are reserved."
GOOD: JsonObject = {"name": {"en": "Tea"}, "siteCode": "main"}


def messages(body: object) -> list[str]:
    with pytest.raises(InvalidBody) as refused:
        read_body(Order, body)
    return [problem.message for problem in refused.value.problems]


def test_a_body_has_its_fields_and_defaults():
    order = read_body(Order, {**GOOD, "isGift": True, "lines": [{"id": "A"}]})
    assert order == Order(name=Name({"en": "Tea"}), site_code="main", is_gift=True, lines=[Line(id="A")])


def test_null_is_an_absent_optional_field():
    optional = ("id", "status", "isGift", "amount", "placedAt", "validity", "mixins", "metadata")
    everything = dict.fromkeys(optional)
    assert read_body(Order, {**GOOD, **everything}) == read_body(Order, GOOD)


def test_unknown_fields_are_ignored():
    assert read_body(Order, {**GOOD, "colour": "green"}) == read_body(Order, GOOD)


def test_a_text_is_taken_for_the_language_of_the_request():
    assert read_body(Order, {**GOOD, "name": "Tee"}, languages=GERMAN).name == {"de": "Tee"}


def test_metadata_holds_the_expected_version_and_the_schemas():
    order = read_body(Order, {**GOOD, "metadata": {"version": 3, "mixins": {"a": "https://x"}}})
    assert (order.expected_version, order.mixin_schemas) == (3, {"a": "https://x"})
    assert (read_body(Order, GOOD).expected_version, read_body(Order, GOOD).mixin_schemas) == (None, None)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2024-01-31T12:00:00.000Z", datetime(2024, 1, 31, 12, tzinfo=UTC)),
        ("2024-01-31T12:00:00+01:00", datetime(2024, 1, 31, 11, tzinfo=UTC)),
        ("2024-01-31T12:00Z", datetime(2024, 1, 31, 12, tzinfo=UTC)),
        ("2024-01-31T12:00:00+01", datetime(2024, 1, 31, 11, tzinfo=UTC)),
        ("2024-01-31 12:00:00,5z", datetime(2024, 1, 31, 12, 0, 0, 500_000, tzinfo=UTC)),
    ],
)
def test_every_form_of_an_instant_is_read(text, instant):
    assert read_body(Order, {**GOOD, "placedAt": text}).placed_at == instant


def test_a_window_is_in_utc():
    window = read_body(Validity, {"from": "2024-01-31T12:00:00+01:00", "to": "2024-01-31T12:00:00+01"})
    instant = datetime(2024, 1, 31, 11, tzinfo=UTC)
    assert (window.starts_at, window.ends_at) == (instant, instant)
    assert (window.starts_at.tzinfo, window.ends_at.tzinfo) == (UTC, UTC)


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00"])
@pytest.mark.parametrize(
    ("kind", "field"),
    [(Validity, "from"), (Validity, "to"), (Restrictions, "validFrom"), (Replay, "since"), (Replay, "until")],
)
def test_an_instant_that_is_in_no_year_of_utc_is_refused(kind, field, text):
    body = {"since": "2024-01-31T12:00:00Z"} if kind is Replay else {}
    with pytest.raises(InvalidBody) as refused:
        read_body(kind, {**body, field: text})
    assert [problem.message for problem in refused.value.problems] == [f"{field} is no time that exists."]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"siteCode": None}, "siteCode is missing."),
        ({"siteCode": ""}, "siteCode must not be empty."),
        ({"siteCode": 5}, "siteCode must be a text."),
        ({"siteCode": "x" * 129}, "siteCode is longer than 128 characters."),
        ({"id": "a b"}, BAD_ID),
        ({"id": "a/b"}, BAD_ID),
        ({"status": "ON"}, "status must be ACTIVE or INACTIVE."),
        ({"isGift": "yes"}, "isGift must be true or false."),
        ({"isGift": 1}, "isGift must be true or false."),
        ({"amount": "much"}, "amount must be a number."),
        ({"amount": True}, "amount must be a number."),
        ({"mixins": []}, "mixins must be an object."),
        ({"metadata": 5}, "metadata must be an object."),
        ({"metadata": {"version": True}}, "metadata.version must be a whole number."),
        ({"metadata": {"version": -1}}, "metadata.version must be at least 0."),
        ({"metadata": {"version": 2_147_483_648}}, "metadata.version must be at most 2147483647."),
        ({"lines": {}}, "lines must be a list."),
        ({"lines": [{"id": "A"}] * 3}, "lines has more than 2 entries."),
        ({"lines": [{"id": "A"}, {"id": 5}]}, "lines[1].id must be a text."),
        ({"lines": [5]}, "lines[0] must be an object."),
        ({"lines": [{"id": "A", "quantity": 0}]}, "lines[0].quantity must be at least 1."),
        ({"name": {"en": "x" * 11}}, "name.en has more than 10 characters."),
        ({"name": {"english": "x"}}, "name has a key that is not a language such as en or de-CH."),
        ({"name": 5}, "name must be a map of language to text, or a text."),
        (
            {"placedAt": "2024-01-31"},
            "placedAt is a date without a time and an offset;"
            " send an instant such as 2024-01-31T12:00:00.000Z.",
        ),
        (
            {"validity": {"from": "2024-02-01T00:00:00Z", "to": "2024-01-01T00:00:00Z"}},
            "validity.from must not be later than validity.to.",
        ),
    ],
)
def test_a_fault_names_the_field_and_the_rule(change, message):
    assert messages({**GOOD, **change}) == [message]


def test_every_fault_of_a_body_is_named():
    assert messages({"siteCode": 5, "status": "ON", "validity": {"from": "tomorrow"}}) == [
        "name is missing.",
        "siteCode must be a text.",
        "status must be ACTIVE or INACTIVE.",
        "validity.from must be an ISO 8601 time such as 2024-01-31T12:00:00.000Z.",
    ]


@pytest.mark.parametrize("body", [None, [], "text", 5])
def test_what_is_no_object_is_refused(body):
    assert messages(body) == ["The body must be an object."]


def test_rows_are_read_apart_from_each_other():
    first, refused, last = read_bodies(Order, [GOOD, {**GOOD, "siteCode": ""}, {**GOOD, "id": "b"}])
    assert (first, last) == (read_body(Order, GOOD), read_body(Order, {**GOOD, "id": "b"}))
    assert isinstance(refused, DomainError)
    assert refused.message == "siteCode must not be empty."


PASTED_IDS = (
    st.text(alphabet=st.sampled_from('1.5E+ a"“»\u200b\u00a0\u00ad\n\x00ö') | st.characters(), max_size=8)
    | st.none()
)


class Row(Body, kw_only=True):
    product: Reference
    note: OptionalReference | None = None
    code: Code = ""


@given(
    st.lists(
        st.fixed_dictionaries({"product": PASTED_IDS, "note": PASTED_IDS, "code": PASTED_IDS}), max_size=3
    )
)
def test_rows_are_read_at_once_as_they_are_one_by_one(rows):
    """Ids of many rows are compared with their patterns only where they may not match."""

    def read_singly(row):
        try:
            return read_body(Row, row)
        except InvalidBody as refused:
            return refused

    def said(body):
        return body.problems if isinstance(body, InvalidBody) else msgspec.to_builtins(body)

    assert [said(body) for body in read_bodies(Row, rows)] == [said(read_singly(row)) for row in rows]


@pytest.mark.parametrize("known", [{}, {"note": None}, {"note": "", "code": "b"}])
def test_ids_in_rows_keep_their_bounds_and_defaults(known):
    [read, *refused] = read_bodies(Row, [{"product": "a", **known}, {"product": ""}, {"product": None}, {}])
    assert (read.product, read.note, read.code) == ("a", known.get("note"), known.get("code", ""))
    assert [row.message for row in refused] == [
        "product must not be empty.",
        "product is missing.",
        "product is missing.",
    ]
    assert read_bodies(Row, [{"product": "a", **known}])[0].note == known.get("note")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(("en", "from", "to", "id", "version", "mixins")), inner, max_size=3)
    ),
    max_leaves=6,
)
NAMES = ("name", "siteCode", "id", "status", "isGift", "amount", "placedAt", "validity", "lines", "metadata")


@given(st.dictionaries(st.sampled_from(NAMES), JSON, max_size=6))
def test_whatever_is_refused_is_refused_with_a_reason(change):
    read = read_bodies(Order, [{**GOOD, **change}])[0]
    if isinstance(read, DomainError):
        assert isinstance(read, InvalidBody)
        assert all(problem.message.startswith(problem.field or "The body") for problem in read.problems)


def test_the_schema_of_a_body_is_made_of_its_declaration():
    schemas = schema_components(Order)
    assert set(schemas) == {"Order", "Line", "Metadata", "Validity"}
    order = schemas["Order"]
    assert order["required"] == ["name", "siteCode"]
    assert order["properties"]["siteCode"] == {"type": "string", "minLength": 1, "maxLength": 128}
    assert order["properties"]["isGift"] == {"type": "boolean", "nullable": True}
    assert order["properties"]["metadata"] == {
        "description": "The version and the mixins' schemas.",
        "allOf": [{"$ref": "#/components/schemas/Metadata"}],
        "nullable": True,
    }
    assert order["properties"]["name"]["oneOf"][1] == {"type": "string", "maxLength": 10}
    assert schemas["Validity"]["properties"]["from"] == {
        "type": "string",
        "format": "date-time",
        "nullable": True,
        "description": "The first instant; absent: no start.",
    }


class Counter(Body):
    size: int = 3
    label: str = "none"
    ends_at: Instant | None = None


def test_null_is_an_absent_optional_field_whatever_its_type():
    assert read_body(Counter, {"size": None, "label": None, "endsAt": None}) == Counter()


def test_whole_numbers_may_be_written_as_floats():
    assert read_body(Counter, {"size": 5.0}).size == 5
    with pytest.raises(InvalidBody, match="size must be a whole number"):
        read_body(Counter, {"size": 5.5})


class Keyworded(Body, kw_only=True):
    """Has members with the names of keywords of JSON Schema."""

    title: str
    default: bool | None = None
    size: Annotated[int, msgspec.Meta(description="How much.")] = 5
    note: str = ""


def test_members_with_names_of_keywords_are_described():
    described = schema_components(Keyworded)["Keyworded"]
    assert described["required"] == ["title"]
    assert described["properties"] == {
        "title": {"type": "string"},
        "default": {"type": "boolean", "nullable": True},
        # typed clients demand members with a default, so it is part of the description only
        "size": {"type": "integer", "description": "How much. Default: 5."},
        "note": {"type": "string"},
    }
