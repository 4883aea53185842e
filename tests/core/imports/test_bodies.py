"""Bodies in files are read quickly, and exactly as the API's serializers read them."""

import pytest
from rest_framework.exceptions import ValidationError

from accounts.api.serializers.companies import LegalEntityInput
from accounts.api.serializers.customers import CustomerInput
from accounts.imports.body_reader import BodyReader, QuickBody
from core.errors import InvalidBody

CUSTOMER = {"id": "C1", "contactEmail": "ann@example.com", "firstName": "Ann"}
ENTITY = {"id": "L1", "name": "Company"}

BODIES = [
    (CustomerInput, body)
    for body in (
        {},
        CUSTOMER,
        CUSTOMER | {"firstName": "  Ann ", "lastName": "", "title": None},
        CUSTOMER | {"firstName": "Änne", "company": "  "},
        CUSTOMER | {"firstName": 7, "lastName": 7.5, "active": "false", "onHold": True},
        CUSTOMER | {"b2b": {"companyRegistrationId": "HRB 1", "legalEntities": []}},
        CUSTOMER | {"b2b": None, "type": "CONTACT", "photoUrl": "https://example.com/a.png"},
        CUSTOMER | {"mixins": {"a": {"b": None}}, "metadata": {"version": 3, "mixins": {"a": "b"}}},
        CUSTOMER | {"firstName": "x" * 150, "preferredLanguage": "de", "preferredCurrency": "EUR"},
        CUSTOMER | {"firstName": " " + "x" * 150},
        CUSTOMER | {"firstName": "x" * 151},
        CUSTOMER | {"firstName": True},
        CUSTOMER | {"firstName": "nul\0"},
        CUSTOMER | {"firstName": ["Ann"]},
        CUSTOMER | {"contactEmail": "no e-mail", "preferredCurrency": "euro", "type": "ROBOT"},
        CUSTOMER | {"preferredLanguage": " "},
        CUSTOMER | {"b2b": "HRB 1"},
        CUSTOMER | {"mixins": []},
        CUSTOMER | {"metadata": {"version": -1}},
    )
] + [
    (LegalEntityInput, body)
    for body in (
        ENTITY,
        ENTITY | {"type": "SUBSIDIARY", "parentId": "L2", "legalInfo": {"legalName": "Company Inc."}},
        ENTITY | {"accountLimit": {"currency": "EUR", "value": "7.5"}, "restrictions": ["US"]},
        ENTITY | {"customerGroups": [{"id": "g", "role": None}], "entitiesAddresses": [{"id": "a"}]},
        ENTITY | {"legalInfo": {}, "approvalGroup": None},
        {"id": "L1"},
        ENTITY | {"name": ""},
        ENTITY | {"name": None},
        ENTITY | {"accountLimit": {"value": -1}},
        ENTITY | {"customerGroups": [{}], "restrictions": ["US", "DE"]},
        ENTITY | {"legalInfo": []},
    )
]


@pytest.mark.parametrize(("serializer", "body"), BODIES, ids=[str(number) for number in range(len(BODIES))])
def test_quick_reading_gives_what_the_serializer_gives(serializer, body):
    try:
        expected = serializer().run_validation(dict(body))
    except ValidationError:
        with pytest.raises(ValidationError):
            QuickBody(serializer())(body)
        with pytest.raises(InvalidBody):
            BodyReader(serializer())(body)
    else:
        assert QuickBody(serializer())(body) == expected
        assert BodyReader(serializer())(body) == expected


def test_all_faults_of_a_body_are_told():
    with pytest.raises(InvalidBody) as refused:
        BodyReader(CustomerInput())(CUSTOMER | {"contactEmail": "none", "preferredCurrency": "euro"})
    assert "contactEmail" in refused.value.message
    assert "preferredCurrency" in refused.value.message


def test_defaults_of_one_body_are_not_those_of_the_next():
    read = BodyReader(LegalEntityInput())
    read(ENTITY)["mixins"]["a"] = 1
    assert read(ENTITY)["mixins"] == {}
