"""Bodies as columns: what requests, patches and files have in common."""

import pytest

from accounts.bodies.customers import CustomerBody, refuse_password
from accounts.bodies.legal_entities import ContactAssignmentBody, LegalEntityBody
from accounts.bodies.rows import RowBody
from accounts.bodies.sites import PatchedSite, SiteBody
from accounts.models import Customer
from core.bodies import read_body
from core.body_schemas import schema_components
from core.errors import InvalidBody, InvalidInput
from tests.factories.accounts import CustomerFactory, LegalEntityFactory, SiteFactory

ENTITY = {"name": "Company"}


def messages(kind: type[RowBody], body: object) -> list[str]:
    with pytest.raises(InvalidBody) as refused:
        read_body(kind, body)
    return [problem.message for problem in refused.value.problems]


def test_texts_are_trimmed_and_absent_members_get_the_columns_default():
    body = {"firstName": "  Ann ", "title": None, "b2b": {"companyRegistrationId": " HRB 1 "}}
    values = read_body(CustomerBody, body).change().values
    assert (values["first_name"], values["title"], values["last_name"]) == ("Ann", "", "")
    assert values["company_registration_id"] == "HRB 1"
    assert (values["type"], values["mixins"], values["mixin_schemas"]) == ("CUSTOMER", None, None)
    assert values.keys().isdisjoint({"email", "is_active", "is_on_hold", "password"})


def test_members_of_objects_are_kept_under_their_names_on_the_wire():
    body = ENTITY | {
        "legalInfo": {"legalName": " Company Inc. ", "registrationId": None},
        "customerGroups": [{"id": "g", "name": {"en": "G"}, "role": None}],
        "accountLimit": {"currency": "EUR", "value": 7},
    }
    values = read_body(LegalEntityBody, body).change().values
    assert values["legal_info"] == {"legalName": "Company Inc."}
    assert values["customer_groups"] == [{"id": "g", "name": {"en": "G"}}]
    assert values["account_limit"] == {"currency": "EUR", "value": 7}
    assert "parent_id" not in values


def test_defaults_of_one_body_are_not_those_of_the_next():
    read_body(LegalEntityBody, ENTITY).change().values["legal_info"]["a"] = 1
    assert read_body(LegalEntityBody, ENTITY).change().values["legal_info"] == {}


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        (CustomerBody, [], ["The body must be an object."]),
        (CustomerBody, {"firstName": 7}, ["firstName must be a text."]),
        (CustomerBody, {"active": "false"}, ["active must be true or false."]),
        (
            CustomerBody,
            {"preferredLanguage": " "},
            ["preferredLanguage must be a language such as en or de_CH."],
        ),
        (CustomerBody, {"photoUrl": "ftp://x.io"}, ["photoUrl must begin with http:// or https://."]),
        (
            CustomerBody,
            {"contactEmail": f"{'x' * 250}@x.io"},
            ["contactEmail is longer than 254 characters."],
        ),
        (LegalEntityBody, {"name": "\u200b"}, ["name must not be empty."]),
        (
            LegalEntityBody,
            ENTITY | {"accountLimit": {"value": "7"}},
            ["accountLimit.value must be a number."],
        ),
        (
            LegalEntityBody,
            ENTITY | {"accountLimit": {"value": 1e15}},
            ["accountLimit.value must be at most 1000000000000."],
        ),
        (
            ContactAssignmentBody,
            {"customer": {"id": ""}, "primary": 1},
            [
                "legalEntity is missing.",
                "customer.id must not be empty.",
                "primary must be true or false.",
            ],
        ),
    ],
    ids=str,
)
def test_every_fault_is_named(kind, body, expected):
    assert messages(kind, body) == expected


def test_row_is_read_again_as_it_is_stored(tenant):
    rows = [
        (CustomerBody, CustomerFactory(tenant=tenant, mixins={"a": 1}, company_registration_id="HRB 1")),
        (LegalEntityBody, LegalEntityFactory(tenant=tenant, legal_info={"legalName": "x"})),
        (PatchedSite, SiteFactory(tenant=tenant, settings={"cartCalculationScale": 3})),
    ]
    for kind, row in rows:
        change = read_body(kind, kind.document(row)).change()
        row.refresh_from_db()
        assert change.values == {name: getattr(row, name) for name in change.values}
        assert change.expected_version == row.version


@pytest.mark.parametrize("body", [{}, {"password": None}, [], [{"path": "/title"}], ["text"], "text", None])
def test_body_without_a_password_is_not_refused_for_one(body):
    refuse_password(body)


@pytest.mark.parametrize("verb", ["add", "replace", "remove"])
def test_patch_of_a_password_is_refused(verb):
    with pytest.raises(InvalidInput, match="password/change"):
        refuse_password([{"op": verb, "path": "/password", "value": "x"}])


def test_schema_says_what_is_required_and_how_texts_are_written():
    components = schema_components(SiteBody, CustomerBody)
    assert set(components["SiteBody"]["required"]) == {
        "name",
        "defaultLanguage",
        "languages",
        "currency",
        "homeBase",
        "shipToCountries",
    }
    email = components["CustomerBody"]["properties"]["contactEmail"]
    assert (email["type"], email["format"], email["nullable"]) == ("string", "email", True)


def test_password_is_no_column_of_a_body():
    assert Customer._meta.get_field("password").column not in CustomerBody.columns()
