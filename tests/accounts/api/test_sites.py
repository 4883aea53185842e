import pytest

from accounts.identity.scopes import SITE_MANAGE, SITE_READ
from accounts.models import Site
from accounts.representations import SITES as SITES_READ
from core.representation.schema import representation_schema
from core.timestamps import format_time
from tests.factories.accounts import SiteFactory
from tests.factories.segments import SegmentFactory

SITES = "/site/acme/sites"
BODY = {
    "code": "uk",
    "name": "United Kingdom",
    "active": True,
    "default": False,
    "includesTax": True,
    "defaultLanguage": "en",
    "languages": ["en", "cy"],
    "currency": "GBP",
    "availableCurrencies": ["GBP", "EUR"],
    "homeBase": {
        "address": {"country": "GB", "zipCode": "12345"},
        "location": {"latitude": 51.5, "longitude": -0.1},
        "timezone": "Europe/London",
    },
    "shipToCountries": ["GB"],
    "taxDeterminationBasedOn": "SHIPPING_ADDRESS",
    "shipping": [{"id": "s", "active": True}],
    "assistedBuying": {"storefrontUrl": "https://example.com"},
    "cartCalculationScale": 3,
    "mixins": {"couponSettings": {"length": 3}},
    "metadata": {"mixins": {"couponSettings": "https://example.com/coupons.json"}},
}
LEAST = {name: BODY[name] for name in ("name", "defaultLanguage", "languages", "currency", "homeBase")}
LEAST["shipToCountries"] = []


@pytest.fixture
def staff(service_api):
    return service_api(SITE_MANAGE)


def test_site_is_created_and_shown_whole(staff, site):
    answer = staff.post(SITES, BODY)
    assert (answer.status_code, answer.json()) == (201, {"id": "uk"})
    moment = format_time(Site.objects.get(code="uk").created_at)
    assert staff.get(f"{SITES}/uk").json() == {
        **BODY,
        "metadata": {"version": 0, "createdAt": moment, "modifiedAt": moment, **BODY["metadata"]},
    }


def test_first_site_is_the_default(staff, tenant):
    staff.post(SITES, BODY)
    assert Site.objects.get().is_default


def test_new_default_takes_the_place_of_the_old_one(staff, site):
    staff.post(SITES, {**BODY, "default": True})
    assert [row.code for row in Site.objects.filter(is_default=True)] == ["uk"]
    staff.patch(f"{SITES}/main", {"default": True})
    assert [row.code for row in Site.objects.filter(is_default=True)] == ["main"]


def test_default_site_stays_until_another_takes_its_place(staff, site):
    for answer in (staff.patch(f"{SITES}/main", {"default": False}), staff.delete(f"{SITES}/main")):
        assert (answer.status_code, answer.json()["details"][0]["field"]) == (400, "default")
    assert Site.objects.get().is_default


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"code": "u k"}, "code"),
        ({"code": None}, "code"),
        ({"defaultLanguage": "eng"}, "defaultLanguage"),
        ({"languages": ["de"]}, "languages"),
        ({"languages": []}, "languages"),
        ({"currency": "pound"}, "currency"),
        ({"shipToCountries": ["Britain"]}, "shipToCountries[0]"),
        ({"homeBase": {"address": {"country": "GB"}}}, "homeBase.address.zipCode"),
        ({"homeBase": {**BODY["homeBase"], "timezone": "Moon"}}, "homeBase.timezone"),
        ({"taxDeterminationBasedOn": "MOOD"}, "taxDeterminationBasedOn"),
    ],
    ids=str,
)
def test_faulty_body_is_refused_with_the_field(staff, tenant, change, field):
    answer = staff.post(SITES, {**BODY, **change})
    assert (answer.status_code, answer.json()["type"]) == (400, "validation_violation")
    assert answer.json()["details"][0]["field"] == field
    assert not Site.objects.exists()


def test_taken_code_is_refused_and_leaves_the_default_as_it_is(staff, site):
    answer = staff.post(SITES, {**BODY, "code": "main", "default": True})
    assert answer.status_code == 409
    assert Site.objects.get().is_default


def test_put_replaces_the_site(staff, site):
    staff.post(SITES, BODY)
    answer = staff.put(f"{SITES}/uk", {**LEAST, "name": "Britain", "metadata": {"version": 0}})
    assert (answer.status_code, answer.content) == (200, b"")
    shown = staff.get(f"{SITES}/uk").json()
    metadata = shown.pop("metadata")
    assert (metadata["version"], metadata["mixins"]) == (1, {})
    assert shown == {
        **LEAST,
        "code": "uk",
        "name": "Britain",
        "active": True,
        "default": False,
        "availableCurrencies": [],
        "taxDeterminationBasedOn": "BILLING_ADDRESS",
    }


def test_patch_changes_what_it_names(staff, site):
    staff.post(SITES, BODY)
    answer = staff.patch(f"{SITES}/uk", {"name": "Britain", "mixins": {"fees": {"active": True}}})
    assert answer.status_code == 200
    shown = staff.get(f"{SITES}/uk").json()
    assert shown["name"] == "Britain"
    assert shown["mixins"] == {"couponSettings": {"length": 3}, "fees": {"active": True}}
    assert shown["shipping"] == BODY["shipping"]
    assert shown["metadata"]["version"] == 1


@pytest.mark.parametrize(
    ("patch", "status"),
    [
        ({"metadata": {"version": 9}}, 409),
        ({"code": "gb"}, 400),
        ({"languages": ["de"]}, 400),
        ({"homeBase": None}, 400),
    ],
)
def test_patch_that_breaks_a_rule_changes_nothing(staff, site, patch, status):
    staff.post(SITES, BODY)
    assert staff.patch(f"{SITES}/uk", {"name": "Britain", **patch}).status_code == status
    assert Site.objects.get(code="uk").name == "United Kingdom"


def test_put_with_another_code_is_refused(staff, site):
    assert staff.put(f"{SITES}/main", {**LEAST, "code": "uk"}).status_code == 400


def test_site_is_deleted(staff, site):
    staff.post(SITES, BODY)
    assert staff.delete(f"{SITES}/uk").status_code == 204
    assert [row.code for row in Site.objects.all()] == ["main"]


def test_site_with_segments_cannot_be_deleted(staff, site, tenant):
    SegmentFactory(tenant=tenant, site=SiteFactory(tenant=tenant, code="uk"))
    answer = staff.delete(f"{SITES}/uk")
    assert (answer.status_code, answer.json()["type"]) == (409, "conflict_resource")
    assert Site.objects.filter(code="uk").exists()


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_unknown_site_is_not_found(staff, site, method):
    body = {"put": LEAST, "patch": {"name": "x"}}.get(method)
    answer = staff.send(method, f"{SITES}/nowhere", body)
    assert (answer.status_code, answer.json()["type"]) == (404, "resource_not_found")


def test_inactive_sites_are_for_those_who_manage_them(staff, service_api, site, tenant):
    SiteFactory(tenant=tenant, code="old", is_active=False)
    anybody = service_api()
    assert [row["code"] for row in anybody.get(SITES).json()] == ["main"]
    assert anybody.get(f"{SITES}/old").status_code == 404
    assert anybody.get(SITES, includeInactive="true").status_code == 403
    assert [row["code"] for row in staff.get(SITES, includeInactive="true", sort="code").json()] == [
        "main",
        "old",
    ]
    assert staff.get(f"{SITES}/old").status_code == 200


def test_site_codes_are_listed_and_counted(service_api, site, tenant):
    SiteFactory(tenant=tenant, code="at")
    reader = service_api(SITE_READ)
    answer = reader.get("/site/acme/siteslist", sort="code", totalCount="true")
    assert (answer.json(), answer["X-Count"]) == (["at", "main"], "2")
    assert service_api().get("/site/acme/siteslist").status_code == 403


@pytest.mark.parametrize("count", [1, 15])
def test_list_takes_one_statement(staff, site, tenant, count, django_assert_num_queries):
    for number in range(count):
        SiteFactory(tenant=tenant, code=f"s{number}")
    with django_assert_num_queries(1):
        assert len(staff.get(SITES).json()) == count + 1


def test_writing_needs_the_scope(service_api, site):
    reader = service_api(SITE_READ)
    for answer in (
        reader.post(SITES, BODY),
        reader.put(f"{SITES}/main", LEAST),
        reader.patch(f"{SITES}/main", {"name": "x"}),
        reader.delete(f"{SITES}/main"),
    ):
        assert (answer.status_code, answer.json()["type"]) == (403, "insufficient_permissions")
    assert Site.objects.get().name == "Main"


def test_home_base_of_a_site_made_without_one_stays_within_the_schema(staff, site):
    Site.objects.update(home_base={})
    assert staff.get(f"{SITES}/main").json()["homeBase"] == {}
    schema = representation_schema(SITES_READ)["properties"]["homeBase"]
    assert (schema["type"], schema.get("required")) == ("object", None)
    assert staff.patch(f"{SITES}/main", {"name": "Renamed"}).status_code == 200
    assert staff.patch(f"{SITES}/main", {"homeBase": {"timezone": "Europe/Berlin"}}).status_code == 400
