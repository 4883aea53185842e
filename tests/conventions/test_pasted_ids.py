"""Ids in bodies lose what pasting adds at their ends, in every service; what else is wrong is named.

An id in an address is taken as it is: what a write makes is found at that address.
"""

from collections.abc import Callable
from urllib.parse import quote

import pytest

from accounts.identity.scopes import SERVICE_SCOPES
from accounts.models import ContactAssignment, LegalEntity, Site
from catalog.models import Category, CategoryAssignment, Product
from coupons.models import Coupon
from segments.models import CustomerAssignment, ItemAssignment, Segment
from tests.conftest import Api
from tests.factories.accounts import CustomerFactory, LegalEntityFactory
from tests.factories.catalog import CategoryFactory, ProductFactory
from tests.factories.segments import SegmentFactory

PASTED = ["\u200b{}\ufeff", "\u00a0{} ", "“{}”", "„{}“", "\u00ad{}\u200e\u2060", "« {} »", "{}\n"]


@pytest.fixture
def api(site: Site, service_api: Callable[..., Api]) -> Api:
    CustomerFactory(tenant=site.tenant, external_id="C1")
    LegalEntityFactory(tenant=site.tenant, external_id="L1")
    CategoryFactory(tenant=site.tenant, external_id="K1")
    ProductFactory(tenant=site.tenant, external_id="P1")
    SegmentFactory(site=site, external_id="gold")
    return service_api(*SERVICE_SCOPES)


@pytest.mark.parametrize("pasted", PASTED, ids=ascii)
def test_an_id_is_read_as_it_was_meant(api: Api, pasted: str) -> None:
    def text(value: str) -> str:
        return pasted.format(value)

    segments, coupons = "/customer-segment/acme/segments", "/coupon/acme/coupons"
    sent: list[tuple[str, object]] = [
        (segments, {"id": text("silver"), "siteCode": text("main"), "name": "S"}),
        ("/category/acme/categories", {"id": text("K2"), "parentId": text("K1"), "localizedName": {"en": "K"},
                                       "published": True, "code": text("kc"), "ecn": [text("kn")]}),
        ("/category/acme/categories/K1/assignments", {"ref": {"id": text("P1"), "type": "PRODUCT"}}),
        ("/product/acme/products", {"id": text("P2"), "code": text("p2"), "name": {"en": "P"}}),
        ("/customer-management/acme/legal-entities", {"id": text("L2"), "name": "L", "parentId": text("L1")}),
        (
            "/customer-management/acme/contact-assignments",
            {"id": text("A1"), "customer": {"id": text("C1")}, "legalEntity": {"id": text("L1")}},
        ),
        (
            coupons,
            {
                "name": "Ten",
                "code": text("TEN"),
                "segmentRestricted": True,
                "issuedTo": text("C1"),
                "restrictions": {"segments": [text("gold")]},
                "discountAbsolute": {"amount": 10, "currency": "EUR"},
            },
        ),
    ]  # fmt: skip
    for path, body in sent:
        answer = api.post(path, body)
        assert answer.status_code in (200, 201), (path, answer.json())

    members, items = f"{segments}/gold/customers/bulk", f"{segments}/gold/items/product/bulk"
    assert api.put(members, [{"customerId": text("C1")}]).json()[0]["code"] == 201
    assert api.put(items, [{"id": text("P1")}]).json()[0]["code"] == 201

    assert Segment.objects.filter(external_id="silver", site__code="main").count() == 1
    assert CustomerAssignment.objects.get().customer.external_id == "C1"
    assert ItemAssignment.objects.get().product.external_id == "P1"
    category = Category.objects.get(external_id="K2")
    assert (category.parent.external_id, category.code) == ("K1", "kc")
    assert [number.value for number in category.numbers.all()] == ["kn"]
    assert CategoryAssignment.objects.get().product.external_id == "P1"
    assert Product.objects.get(external_id="P2").code == "p2"
    assert LegalEntity.objects.get(external_id="L2").parent.external_id == "L1"
    assert ContactAssignment.objects.get(external_id="A1").legal_entity.external_id == "L1"
    coupon = Coupon.objects.get(code="TEN")
    assert (coupon.issued_to, coupon.segment_restrictions.get().segment_external_id) == ("C1", "gold")
    match = {"items": [{"id": text("P1")}], "segmentIds": [text("gold")], "siteCode": text("main")}
    assert len(api.post(f"{segments}/match", match).json()) == 1
    redemption = {"customerNumber": text("C1"), "orderTotal": {"amount": 20, "currency": "EUR"},
                  "discount": {"amount": 5, "currency": "EUR"}}  # fmt: skip
    assert api.post(f"{coupons}/TEN/validation", redemption).status_code == 200
    assert api.send("delete", f"{segments}/gold/customers/bulk", [{"customerId": text("C1")}]).json()[0][
        "code"
    ] in (200, 204)
    assert not CustomerAssignment.objects.exists()


@pytest.mark.parametrize(
    ("address", "body"),
    [
        ("/customer-segment/acme/segments/{}", {"siteCode": "main", "name": "S"}),
        ("/customer-segment/acme/segments/gold/customers/{}", {}),
        ("/customer-segment/acme/segments/gold/customers/C1/{}", {}),
        ("/customer-segment/acme/segments/gold/items/PRODUCT/{}", {}),
        ("/customer-segment/acme/segments/gold/items/CATEGORY/{}", {}),
        ("/category/acme/categories/{}", {"localizedName": {"en": "K"}, "code": "kc"}),
        ("/category/acme/categories/K1/assignments/references/{}", {"ref": {"type": "PRODUCT"}}),
        ("/product/acme/products/{}", {"code": "p2", "name": {"en": "P"}}),
        ("/customer/acme/customers/{}", {"contactEmail": "new@example.com"}),
        ("/customer-management/acme/legal-entities/{}", {"name": "L"}),
        ("/site/acme/sites/{}", {"name": "S"}),
    ],
)
def test_a_write_makes_nothing_at_another_address_than_its_own(
    api: Api, address: str, body: dict[str, object]
) -> None:
    for text in (pasted.format(id) for pasted in PASTED for id in ("C1", "L1", "P1", "K1", "main", "new")):
        answer = api.put(address.format(quote(text, safe="")), body)
        assert answer.status_code in (400, 404), (text, answer.content)
    for model in (CustomerAssignment, ItemAssignment, CategoryAssignment):
        assert not model.objects.exists()
    for model, external_id in ((Segment, "gold"), (Category, "K1"), (Product, "P1"), (LegalEntity, "L1")):
        assert list(model.objects.exclude(external_id="root").values_list("external_id", flat=True)) == [
            external_id
        ]


def test_what_an_address_has_around_an_id_is_named(api: Api) -> None:
    answer = api.put("/customer-segment/acme/segments/%20a%20", {"siteCode": "main", "name": "S"})
    assert (answer.status_code, answer.json()["details"]["field"]) == (400, "segmentId")
    assert answer.json()["message"] == (
        "segmentId in the address must not begin or end with blanks, invisible characters or quotes."
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("C\u200b1", "it has the invisible character ZERO WIDTH SPACE (U+200B)"),
        ("C\u00ad1", "it has the invisible character SOFT HYPHEN (U+00AD)"),
        (
            "1.23E+15",
            "1.23E+15 looks like a long number that a spreadsheet shortened: format the column as text",
        ),
        (
            "1,23E+15",
            "1,23E+15 looks like a long number that a spreadsheet shortened: format the column as text",
        ),
    ],
)
def test_what_nobody_sees_in_a_new_id_is_named(api: Api, text: str, reason: str) -> None:
    answer = api.post("/customer-segment/acme/segments", {"id": text, "siteCode": "main", "name": "S"})
    assert answer.status_code == 400
    assert reason in answer.json()["message"]


def test_a_reference_that_a_spreadsheet_shortened_is_named(api: Api) -> None:
    [entry] = api.put(
        "/customer-segment/acme/segments/gold/customers/bulk", [{"customerId": "1.23E+15"}]
    ).json()
    assert entry["code"] == 400
    assert entry["message"] == (
        "customerId cannot be an id; 1.23E+15 looks like a long number that a spreadsheet shortened:"
        " format the column as text and enter the ids again."
    )
