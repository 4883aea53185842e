import pytest

from accounts.identity.scopes import LEGAL_ENTITY_MANAGE, LEGAL_ENTITY_READ
from accounts.models import ContactAssignment, LegalEntity
from accounts.operations import legal_entities as operations
from core.timestamps import format_time
from tests.factories.accounts import (
    ContactAssignmentFactory,
    CustomerFactory,
    LegalEntityFactory,
    SessionFactory,
)
from tests.factories.segments import CustomerAssignmentFactory

ENTITIES = "/customer-management/acme/legal-entities"
BODY = {
    "name": "ABC Subsidiary",
    "type": "SUBSIDIARY",
    "parentId": "abc",
    "legalInfo": {"legalName": "ABC GmbH", "countryOfRegistration": "DE", "registrationId": "HRB 1"},
    "accountLimit": {"currency": "EUR", "value": 1000.99},
    "customerGroups": [{"id": "group", "name": {"en": "Group"}}],
    "entitiesAddresses": [{"id": "address"}],
    "approvalGroup": [{"id": "contact"}],
    "restrictions": ["US"],
    "mixins": {"erp": {"number": 7}},
    "metadata": {"mixins": {"erp": "https://example.com/erp.json"}},
}


@pytest.fixture
def staff(service_api):
    return service_api(LEGAL_ENTITY_MANAGE)


def test_legal_entity_is_created_and_shown_whole(staff, company):
    answer = staff.post(ENTITIES, {"id": "abc-sub", **BODY})
    assert (answer.status_code, answer.json()) == (201, {"id": "abc-sub"})
    stored = LegalEntity.objects.get(external_id="abc-sub")
    moment = format_time(stored.created_at)
    assert staff.get(f"{ENTITIES}/abc-sub").json() == {
        "id": "abc-sub",
        **BODY,
        "metadata": {"version": 1, "createdAt": moment, "modifiedAt": moment, **BODY["metadata"]},
    }


def test_legal_entity_needs_only_a_name(staff):
    key = staff.post(ENTITIES, {"name": "Emporium"}).json()["id"]
    shown = staff.get(f"{ENTITIES}/{key}").json()
    shown.pop("metadata")
    assert shown == {"id": key, "name": "Emporium", "type": "COMPANY"}


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({}, "name: name is missing."),
        ({"name": "x", "type": "CLUB"}, "type: type must be COMPANY or SUBSIDIARY."),
        ({"name": "x", "parentId": "nobody"}, "parentId: There is no legal entity nobody."),
        ({"name": "x", "restrictions": ["a", "b"]}, "restrictions: restrictions has more than 1 entries."),
        (
            {"name": "x", "accountLimit": {"value": -1}},
            "accountLimit.value: accountLimit.value must be at least 0.",
        ),
        ({"name": "x", "approvalGroup": [{}]}, "approvalGroup[0].id: approvalGroup[0].id is missing."),
    ],
)
def test_faulty_body_is_refused_with_the_detail(staff, body, detail):
    answer = staff.post(ENTITIES, body)
    assert (answer.status_code, answer.json()["code"]) == (400, 400)
    assert answer.json()["details"][0].startswith(detail)
    assert not LegalEntity.objects.exists()


def test_taken_id_is_refused(staff, company):
    answer = staff.post(ENTITIES, {"id": "abc", "name": "Other"})
    assert (answer.status_code, answer.json()["resourceId"]) == (409, "abc")
    assert LegalEntity.objects.get().name == "ABC Company"


def test_parent_of_another_tenant_does_not_exist(staff, other_tenant):
    LegalEntityFactory(tenant=other_tenant, external_id="abc")
    assert staff.post(ENTITIES, BODY).status_code == 400


def test_put_creates_then_replaces(staff, company):
    answer = staff.put(f"{ENTITIES}/abc-sub", BODY)
    assert (answer.status_code, answer.json()) == (201, {"id": "abc-sub"})
    answer = staff.put(f"{ENTITIES}/abc-sub", {"name": "Renamed", "type": "SUBSIDIARY"})
    assert answer.status_code == 204
    shown = staff.get(f"{ENTITIES}/abc-sub").json()
    assert shown.pop("metadata")["version"] == 2
    assert shown == {"id": "abc-sub", "name": "Renamed", "type": "SUBSIDIARY"}


def test_put_of_an_old_version_is_refused(staff, company):
    answer = staff.put(f"{ENTITIES}/abc", {"name": "New", "metadata": {"version": 4}})
    assert answer.status_code == 409
    assert LegalEntity.objects.get().name == "ABC Company"


def test_legal_entity_cannot_be_below_itself(staff, company, tenant):
    child = LegalEntityFactory(tenant=tenant, external_id="child", parent=company)
    LegalEntityFactory(tenant=tenant, external_id="grandchild", parent=child)
    for parent in ("abc", "grandchild"):
        answer = staff.put(f"{ENTITIES}/abc", {"name": "ABC", "parentId": parent})
        assert answer.status_code == 400
    assert LegalEntity.objects.get(external_id="abc").parent is None


def test_deleting_takes_subsidiaries_and_contacts_along(staff, company, tenant):
    child = LegalEntityFactory(tenant=tenant, external_id="child", parent=company)
    grandchild = LegalEntityFactory(tenant=tenant, external_id="grandchild", parent=child)
    LegalEntityFactory(tenant=tenant, external_id="other")
    ContactAssignmentFactory(legal_entity=grandchild)
    assert staff.delete(f"{ENTITIES}/abc").status_code == 204
    assert [entity.external_id for entity in LegalEntity.objects.all()] == ["other"]
    assert not ContactAssignment.objects.exists()


def test_a_legal_entity_with_more_than_is_deleted_at_once_stays(staff, company, site, monkeypatch):
    """Writers of legal entities would wait meanwhile."""
    child = LegalEntityFactory(tenant=company.tenant, external_id="child", parent=company)
    contact = ContactAssignmentFactory(legal_entity=child)
    CustomerAssignmentFactory(segment__site=site, customer=contact.customer, legal_entity=child)
    SessionFactory(
        client__tenant=company.tenant, customer=contact.customer, legal_entity=child
    )  # does not count
    monkeypatch.setattr(operations, "MOST_DELETED_ALONG", 3)
    refused = staff.delete(f"{ENTITIES}/abc")
    assert refused.status_code == 400
    assert "More than 200,000 contacts and segment assignments belong" in refused.json()["message"]
    assert LegalEntity.objects.count() == 2
    monkeypatch.setattr(operations, "MOST_DELETED_ALONG", 4)
    assert staff.delete(f"{ENTITIES}/abc").status_code == 204


@pytest.mark.parametrize("method", ["get", "delete"])
def test_unknown_legal_entity_is_not_found(staff, method):
    answer = staff.send(method, f"{ENTITIES}/nobody")
    assert answer.status_code == 404
    assert answer.json() == {
        "code": 404,
        "status": "Not Found",
        "message": "The resource with id nobody has not been found.",
        "details": [],
        "resourceId": "nobody",
    }


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["abc", "abc-sub", "xyz"]),
        ({"id": "ABC"}, ["abc"]),
        ({"name": "abc"}, ["abc", "abc-sub"]),
        ({"type": "SUBSIDIARY"}, ["abc-sub"]),
        ({"parentId": "abc"}, ["abc-sub"]),
        ({"legalInfo.legalName": "gmbh"}, ["abc-sub"]),
        ({"legalInfo.registrationId": "HRB"}, []),
        ({"q": 'legalInfo.registrationId:"HRB 1"'}, ["abc-sub"]),
        ({"q": "parentId:abc"}, ["abc-sub"]),
        ({"sort": "name:desc"}, ["xyz", "abc-sub", "abc"]),
        ({"pageSize": "1", "pageNumber": "2"}, ["abc-sub"]),
    ],
    ids=str,
)
def test_filters_and_search(staff, company, tenant, other_tenant, query, found):
    staff.post(ENTITIES, {"id": "abc-sub", **BODY})
    LegalEntityFactory(tenant=tenant, external_id="xyz", name="XYZ")
    LegalEntityFactory(tenant=other_tenant, external_id="abc2", name="ABC Company")
    assert [entity["id"] for entity in staff.get(ENTITIES, **query).json()] == found
    if "q" in query:
        answer = staff.post(f"{ENTITIES}/search", {"q": query["q"]})
        assert [entity["id"] for entity in answer.json()] == found


def test_pages_hold_16_by_default(staff, tenant):
    LegalEntityFactory.create_batch(17, tenant=tenant)
    answer = staff.get(ENTITIES, headers={"X-Total-Count": "true"})
    assert (len(answer.json()), answer["X-Total-Count"]) == (16, "17")


@pytest.mark.parametrize("count", [1, 15])
def test_list_takes_one_statement(staff, company, tenant, count, django_assert_num_queries):
    LegalEntityFactory.create_batch(count, tenant=tenant, parent=company)
    with django_assert_num_queries(1):
        assert len(staff.get(ENTITIES).json()) == count + 1


def test_customers_list_the_legal_entities_they_act_for(customer_api, company, tenant):
    LegalEntityFactory(tenant=tenant, external_id="other")
    contact = ContactAssignmentFactory(legal_entity=company)
    own = customer_api(contact.customer)
    assert [entity["id"] for entity in own.get(ENTITIES).json()] == ["abc"]
    assert [entity["id"] for entity in own.post(f"{ENTITIES}/search", {}).json()] == ["abc"]
    assert customer_api(CustomerFactory(tenant=tenant)).get(ENTITIES).json() == []


def test_scopes(service_api, customer_api, company):
    reader = service_api(LEGAL_ENTITY_READ)
    assert reader.get(f"{ENTITIES}/abc").status_code == 200
    own = customer_api(ContactAssignmentFactory(legal_entity=company).customer)
    for answer in (
        own.get(f"{ENTITIES}/abc"),
        reader.post(ENTITIES, {"name": "x"}),
        reader.put(f"{ENTITIES}/abc", {"name": "x"}),
        reader.delete(f"{ENTITIES}/abc"),
        service_api().get(ENTITIES),
    ):
        assert answer.status_code == 403
        assert answer.json()["details"][0].startswith("Required scope(s): customermanagement.legalentity_")
    assert LegalEntity.objects.get().name == "ABC Company"


def test_parent_hierarchy_goes_up_from_the_legal_entity(staff, company, tenant, other_tenant):
    child = LegalEntityFactory(tenant=tenant, external_id="child", parent=company)
    LegalEntityFactory(tenant=tenant, external_id="grandchild", parent=child, name="Third")
    LegalEntityFactory(tenant=other_tenant, external_id="theirs")
    shown = staff.get(f"{ENTITIES}/grandchild/parent-hierarchy").json()
    assert [(entity["id"], entity.get("parentId")) for entity in shown] == [
        ("grandchild", "child"),
        ("child", "abc"),
        ("abc", None),
    ]
    assert shown[0] == staff.get(f"{ENTITIES}/grandchild").json()
    assert staff.get(f"{ENTITIES}/theirs/parent-hierarchy").status_code == 404
