"""`Prefer: handling=strict`: unknown parameters and fields are refused, with the nearest known name."""

import pytest

from core.api.preferences import wants_strict
from tests.factories.segments import SegmentFactory

SEGMENTS = "/customer-segment/acme/segments"
STRICT = {"Prefer": "handling=strict"}
BODY = {"name": {"en": "Gold"}, "siteCode": "main"}


@pytest.fixture
def gold(site):
    return SegmentFactory(site=site, external_id="gold")


@pytest.mark.parametrize(
    ("header", "strict"),
    [
        ("handling=strict", True),
        ('respond-async, Handling="STRICT"; wait=1', True),
        ("handling=lenient, handling=strict", False),
        ("strict", False),
        ("", False),
    ],
)
def test_the_preference_is_read_as_the_rfc_writes_it(header, strict):
    assert wants_strict(header) == strict


def test_unknown_names_are_ignored_by_default(api, gold):
    answer = api.get(SEGMENTS, pagesize="5")
    assert (answer.status_code, "Preference-Applied" in answer) == (200, False)
    assert api.put(f"{SEGMENTS}/new", {**BODY, "colour": "red"}).status_code == 201
    assert "Preference-Applied" not in api.get(SEGMENTS, headers={"Prefer": "handling=lenient"})


def test_a_strict_request_without_unknown_names_is_answered_as_always(api, gold):
    document = api.get(f"{SEGMENTS}/gold", headers=STRICT)
    assert (document.status_code, document["Preference-Applied"]) == (200, "handling=strict")
    sent_back = api.put(f"{SEGMENTS}/gold", document.json(), headers=STRICT)
    assert (sent_back.status_code, sent_back["Preference-Applied"]) == (204, "handling=strict")
    page = api.get(SEGMENTS, headers=STRICT, q="id:gold", sort="id", pageSize="1", customerId="", fields="id")
    assert page.status_code == 200


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"pagesize": "5"}, "There is no parameter pagesize; did you mean pageSize?"),
        ({"filed": "id"}, "There is no parameter filed; did you mean fields?"),
        (
            {"zzzz": "1"},
            "There is no parameter zzzz; known are asOf, customerId, fields, legalEntityId, next, pageNumber,"
            " pageSize, prev, q, sort.",
        ),
    ],
)
def test_an_unknown_parameter_is_named_with_the_nearest_one(api, gold, query, message):
    refused = api.get(SEGMENTS, headers=STRICT, **query)
    assert (refused.status_code, refused["Preference-Applied"]) == (400, "handling=strict")
    body = refused.json()
    assert body["message"] == message
    assert (body["details"]["field"], body["details"]["type"]) == (next(iter(query)), "unknown_parameter")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({**BODY, "desription": {}}, "There is no field desription; did you mean description?"),
        (
            {**BODY, "validity": {"form": None}},
            "There is no field validity.form; did you mean from?",
        ),
        (
            {**BODY, "metadata": {"verson": 1}, "Status": "ACTIVE"},
            "There is no field metadata.verson; did you mean version?"
            " There is no field Status; did you mean status?",
        ),
    ],
)
def test_unknown_fields_are_named_with_their_path(api, site, body, message):
    refused = api.post(SEGMENTS, body, headers=STRICT)
    assert (refused.status_code, refused.json()["message"]) == (400, message)
    assert api.get(SEGMENTS).json() == []


def test_free_objects_take_every_name(api, site):
    body = {**BODY, "name": {"de": "Gold"}, "mixins": {"a": {"any": [{"thing": 1}]}}}
    assert api.post(SEGMENTS, body, headers=STRICT).status_code == 201


def test_entries_of_lists_are_looked_at(api, site):
    refused = api.put(
        f"{SEGMENTS}/bulk", [{"id": "a", **BODY}, {"id": "b", **BODY, "nam": 1}], headers=STRICT
    )
    assert refused.json()["message"] == "There is no field [1].nam; did you mean name?"
    refused = api.put("/coupon/acme/coupons/X", {"restrictions": {"segmens": []}}, headers=STRICT)
    assert "restrictions.segmens; did you mean segments?" in str(refused.json())


def test_of_a_field_that_comes_twice_the_last_counts_unless_the_request_is_strict(api, site):
    body = b'{"name": {"en": "First", "en": "Last"}, "siteCode": "main"}'
    refused = api.put(f"{SEGMENTS}/gold", body, headers=STRICT)
    assert refused.status_code == 400
    assert refused.json()["details"] == {
        "field": "en",
        "type": "repeated_field",
        "message": "An object in the body has the field en twice; only the last one would count.",
    }
    assert api.get(SEGMENTS).json() == []
    assert api.put(f"{SEGMENTS}/gold", body).status_code == 201
    assert api.get(f"{SEGMENTS}/gold").json()["name"] == {"en": "Last"}


@pytest.mark.parametrize("headers", [STRICT, {}], ids=["strict", "lenient"])
def test_a_field_that_another_one_hides_is_not_nested_too_deeply_either(api, site, headers):
    hidden = b"[" * 1_010 + b"]" * 1_010
    body = b'{"name": {"en": "Gold"}, "siteCode": "main", "mixins": ' + hidden + b', "mixins": {}}'
    refused = api.put(f"{SEGMENTS}/gold", body, headers=headers)
    assert refused.status_code == 400
    assert refused.json()["message"] == "The body is nested more than 30 levels deep."


def test_patches_of_both_kinds_are_looked_at(api, gold):
    refused = api.patch(f"{SEGMENTS}/gold", {"stats": "ACTIVE"}, headers=STRICT)
    assert refused.json()["message"] == "There is no field stats; did you mean status?"
    operations = [
        {"op": "replace", "path": "/name/en", "value": "New"},
        {"op": "add", "path": "/mixins/any/thing", "value": 1},
        {"op": "add", "path": "/validty/from", "vale": "2024-01-01T00:00:00Z"},
    ]
    message = api.patch(f"{SEGMENTS}/gold", operations, headers=STRICT).json()["message"]
    assert message == (
        "There is no field [2].vale; did you mean value?"
        " There is no field /validty/from; did you mean validity?"
    )
    assert api.patch(f"{SEGMENTS}/gold", operations[:2], headers=STRICT).status_code == 204


def test_scopes_come_first(service_api, gold):
    assert service_api("coupon.coupon_read").get(SEGMENTS, headers=STRICT, x="1").status_code == 403
