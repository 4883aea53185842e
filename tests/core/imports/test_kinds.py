"""The rules of each kind of file."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from accounts.models import Customer, LegalEntity
from catalog.models import Category, Product
from catalog.tree_checks import tree_problems
from core.tenancy.models import Tenant
from coupons.models import Coupon
from segments.models import CustomerAssignment, Segment
from tests.factories.accounts import LegalEntityFactory
from tests.factories.coupons import CouponFactory
from tests.factories.segments import CustomerAssignmentFactory


def reasons(answer):
    return answer.json["refusedByReason"]


# --- customers ---


def test_customers_are_made_changed_and_refused(shop, upsert, write):
    Customer.objects.filter(external_id="C2").update(is_on_hold=True, password="kept")  # noqa: S106
    path = write(
        "rows.csv",
        "id,contactEmail,firstName,b2b.companyRegistrationId,active,mixins",
        'N1,n1@example.com,Ann,HRB 1,false,"{""a"": 1}"',
        "C2,new@example.com,Bob,,,",
        "N2,C1@Example.com,Eve,,,",
        "N3,N1@example.com,Eve,,,",
        "N4,no e-mail,Eve,,,",
        "C3,,Eve,,,",
        "a b,x@example.com,Eve,,,",
    )
    answer = upsert("customers", path)
    assert answer.counts == {"created": 1, "changed": 1, "refused": 5}
    assert reasons(answer) == {
        "email_removed": 1,
        "email_repeated": 1,
        "email_taken": 1,
        "invalid_input": 1,
        "validation_violation": 1,
    }
    made = Customer.objects.get(external_id="N1")
    assert (made.email, made.company_registration_id, made.is_active, made.mixins) == (
        "n1@example.com",
        "HRB 1",
        False,
        {"a": 1},
    )
    assert (made.preferred_language, made.preferred_site, made.password) == ("en", "main", "")
    changed = Customer.objects.get(external_id="C2")
    assert (changed.email, changed.is_on_hold, changed.password, changed.version) == (
        "new@example.com",
        True,
        "kept",
        2,
    )


def test_new_customers_of_files_get_the_preferences_of_the_tenant(shop, upsert, write):
    Tenant.objects.filter(pk=shop.tenant.pk).update(default_language="de", languages=["de"], currency="CHF")
    assert upsert("customers", write("rows.csv", "id,preferredSite", "N1,", "N2,other")).counts == {
        "created": 2
    }
    preferences = Customer.objects.filter(external_id__startswith="N").order_by("external_id")
    assert list(preferences.values_list("preferred_language", "preferred_currency", "preferred_site")) == [
        ("de", "CHF", shop.site.code),
        ("de", "CHF", "other"),
    ]


def test_deleted_customers_take_their_assignments_along(shop, upsert, write):
    CustomerAssignmentFactory(segment=shop.segments[0], customer=shop.customers[0])
    path = write("rows.csv", "id", "C1", "C9", "C1")
    assert upsert("customers", path, "--mode", "delete", "--dry-run").counts == {"removed": 1, "unchanged": 2}
    assert Customer.objects.count() == 5
    assert upsert("customers", path, "--mode", "delete").counts == {"removed": 1, "unchanged": 2}
    assert Customer.objects.count() == 4
    assert not CustomerAssignment.objects.exists()


# --- legal entities ---


def test_legal_entities_are_made_changed_and_refused(shop, upsert, write):
    path = write(
        "rows.csv",
        "id,name,type,parentId,legalInfo.legalName,accountLimit.value,restrictions",
        "L2,Parent,,,Parent Inc.,10.5,US",
        "L3,Child,SUBSIDIARY,L2,,,",
        "L4,Lost,SUBSIDIARY,L9,,,",
        "L1,Company,,L1,,,",
        "L5,,,,,,",
    )
    answer = upsert("legal_entities", path)
    assert answer.counts == {"created": 2, "refused": 3}
    stored = LegalEntity.objects.get(external_id="L2")
    assert (stored.legal_info, stored.account_limit, stored.restrictions) == (
        {"legalName": "Parent Inc."},
        {"value": 10.5},
        ["US"],
    )
    assert LegalEntity.objects.get(external_id="L3").parent == stored
    assert upsert("legal_entities", write("two.csv", "id,name", "L1,Renamed")).counts == {"changed": 1}
    assert LegalEntity.objects.get(external_id="L1").name == "Renamed"
    dry = upsert("legal_entities", write("three.csv", "id,name", "L7,New"), "--dry-run")
    assert dry.counts == {"created": 1}
    assert not LegalEntity.objects.filter(external_id="L7").exists()


def test_parents_come_anywhere_in_a_batch_and_never_close_a_circle(shop, upsert, write):
    LegalEntityFactory(
        tenant=shop.tenant, external_id="M2", parent=LegalEntityFactory(tenant=shop.tenant, external_id="M1")
    )
    path = write(
        "rows.csv",
        "id,name,parentId",
        "N3,Third,N2",
        "N2,Second,N1",
        "N1,First,L1",
        "M1,Up,M3",  # M1 > M2 > M3 > M1
        "M3,Down,M2",
        "N5,Below what is refused,N4",
        "N4,Lost,nowhere",
        "L1,Itself,L1",
    )
    answer = upsert("legal_entities", path)
    assert answer.counts == {"created": 3, "refused": 5}
    assert reasons(answer) == {"legal_entity_cycle": 3, "unknown_reference": 2}
    parents = LegalEntity.objects.filter(tenant=shop.tenant).values_list("external_id", "parent__external_id")
    assert dict(parents) == {"L1": None, "M1": None, "M2": "M1", "N1": "L1", "N2": "N1", "N3": "N2"}
    assert upsert("legal_entities", path).counts == {"unchanged": 3, "refused": 5}


def test_a_legal_entity_is_changed_only_when_the_expected_version_is_stored(shop, upsert, write):
    path = write("rows.csv", "id,name,metadata.version", "L1,Renamed,1", "N1,New,7")
    assert upsert("legal_entities", path).counts == {"created": 1, "changed": 1}
    stored = LegalEntity.objects.get(external_id="L1")
    assert (stored.name, stored.version) == ("Renamed", 2)
    assert reasons(upsert("legal_entities", path)) == {"version_conflict": 2}


@pytest.mark.parametrize("count", [2, 20])
def test_legal_entities_take_the_same_statements_for_two_rows_and_for_twenty(
    shop, upsert, write, count, django_assert_num_queries
):
    rows = [f"N{number},Name,{f'N{number - 1}' if number else ''}" for number in range(count)]
    with django_assert_num_queries(20):
        upsert("legal_entities", write("rows.csv", "id,name,parentId", *rows))


# --- products ---


def test_products_are_made_changed_and_refused(shop, upsert, write):
    path = write(
        "rows.csv",
        "id,code,name.en,name.de,published,vendor",
        'N1,n1,Tea,Tee,,"{""id"": ""v""}"',
        "P1,code-P1,Renamed,,,",
        "N2,code-P2,Taken,,true,",
        "N3,n1,Repeated,,true,",
        "bulk,x,Reserved,,true,",
        "N4,,No code,,true,",
        "N5,n5,,,true,",
    )
    answer = upsert("products", path)
    assert answer.counts == {"created": 1, "changed": 1, "refused": 5}
    assert reasons(answer)["code_taken"] == 1
    assert reasons(answer)["code_repeated"] == 1
    made = Product.objects.get(external_id="N1")
    assert (made.name, made.is_published, made.details, made.product_type) == (
        {"en": "Tea", "de": "Tee"},
        False,
        {"vendor": {"id": "v"}},
        "BASIC",
    )
    changed = Product.objects.get(external_id="P1")
    assert (changed.name, changed.is_published, changed.version) == ({"en": "Renamed"}, True, 2)
    assert upsert("products", write("x.csv", "id,code,name.en", "P1,c,x"), "--mode", "delete").counts == {
        "removed": 1
    }


# --- categories ---


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_code_of_combining_marks_is_the_composed_one(shop, upsert, write, kind):
    rows = {
        "csv": [
            "id,code,name.en,mixins",
            'N1,Cafe\u0301,Cafe\u0301,"{""a"": ""e\u0301""}"',
            "N2,Caf\u00e9,Tea,",
        ],
        "jsonl": [
            '{"id":"N1","code":"Cafe\u0301","name":{"en":"Cafe\u0301"},"mixins":{"a":"e\u0301"}}',
            '{"id":"N2","code":"Caf\u00e9","name":{"en":"Tea"}}',
        ],
    }
    answer = upsert("products", write(f"rows.{kind}", *rows[kind]))
    assert answer.counts == {"created": 1, "refused": 1}
    assert reasons(answer) == {"code_repeated": 1}
    made = Product.objects.get(external_id="N1")
    assert (made.code, made.name, made.mixins) == ("Caf\u00e9", {"en": "Caf\u00e9"}, {"a": "e\u0301"})


def test_categories_come_in_any_order_and_make_a_right_tree(shop, upsert, write):
    path = write(
        "rows.csv",
        "id,parentId,localizedName.en,localizedName.de,published,position,ecn",
        "K3,K2,Beans,Bohnen,true,,7|8",
        "K2,K1,Ground,Gemahlen,true,,",
        "K4,K9,Lost,,true,,",
        "K5,K5,Self,,true,,",
        "K6,,Français,,perhaps,,",
    )
    answer = upsert("categories", path)
    assert answer.counts == {"created": 2, "refused": 3}
    stored = Category.objects.get(external_id="K3")
    assert [above.external_id for above in stored.get_ancestors()][-2:] == ["K1", "K2"]
    assert list(stored.numbers.values_list("value", flat=True)) == ["7", "8"]
    assert tree_problems(shop.tenant.pk) == []
    assert upsert("categories", path).counts == {"unchanged": 2, "refused": 3}
    removed = upsert(
        "categories", write("x.csv", "id,localizedName.en,published", "K2,x,true"), "--mode", "delete"
    )
    assert removed.counts == {"removed": 1}
    assert Category.objects.get(external_id="K3").is_root
    assert tree_problems(shop.tenant.pk) == []


def test_products_are_put_into_categories(shop, upsert, write):
    path = write("rows.csv", "categoryId,ref.id", "K1,P1", "K1,P9", "K9,P1", "/,P1", "K1,", ",P1")
    answer = upsert("category_assignments", path)
    assert answer.counts == {"created": 1, "refused": 5}
    assert upsert(
        "category_assignments", write("rows.jsonl", '{"categoryId":"K1","ref":{"id":"P1"}}')
    ).counts == {"unchanged": 1}


# --- segments ---


def test_segments_are_made_changed_and_refused(shop, upsert, write):
    path = write(
        "rows.csv",
        "id,siteCode,name.en,name.de,status,validity.from,validity.to",
        "N1,main,New,Neu,ACTIVE,2026-01-01T00:00:00Z,2026-02-01T00:00:00+01:00",
        "S1,main,Renamed,,,,",
        "N2,nowhere,x,,,,",
        "N3,main,x,,OPEN,,",
        "N4,main,x,,,2026-02-01T00:00:00Z,2026-01-01T00:00:00Z",
    )
    answer = upsert("segments", path)
    assert answer.counts == {"created": 1, "changed": 1, "refused": 3}
    assert reasons(answer) == {"unknown_site": 1, "validation_violation": 2}
    made = Segment.objects.get(external_id="N1")
    assert (made.name, made.valid_to) == ({"en": "New", "de": "Neu"}, datetime(2026, 1, 31, 23, tzinfo=UTC))
    changed = Segment.objects.get(external_id="S1")
    assert (changed.name, changed.status, changed.version) == ({"en": "Renamed"}, "INACTIVE", 2)


def test_a_segment_that_holds_something_is_not_deleted(shop, upsert, write):
    CustomerAssignmentFactory(segment=shop.segments[0], customer=shop.customers[0])
    path = write("rows.csv", "id,siteCode,name.en", "S1,main,x", "S2,main,x", "S9,main,x")
    answer = upsert("segments", path, "--mode", "delete")
    assert answer.counts == {"removed": 1, "unchanged": 1, "refused": 1}
    assert reasons(answer) == {"segment_has_assignments": 1}


# --- coupons ---


def test_coupons_are_made_changed_and_refused(shop, upsert, write):
    CouponFactory(tenant=shop.tenant, code="OLD", name="Old")
    CouponFactory(tenant=shop.tenant, code="GONE", name="Gone", is_deleted=True)
    path = write(
        "rows.csv",
        "code,name,discountType,discountPercentage,discountAbsolute.amount,discountAbsolute.currency,"
        "segmentRestricted,restrictions.segments,restrictions.validUntil,maxRedemptionsPerCustomer",
        "new,New,PERCENT,12.5,,,true,S1|S2,2026-01-01T00:00:00Z,3",
        "old,Renamed,ABSOLUTE,,1.10,EUR,,,,",
        "lost,Lost,PERCENT,5,,,true,S9,,",
        "gone,Again,PERCENT,5,,,,,,",
        "wrong,Wrong,PERCENT,,,,,,,",
        ",No code,PERCENT,5,,,,,,",
    )
    answer = upsert("coupons", path)
    assert answer.counts == {"created": 1, "changed": 1, "refused": 4}
    made = Coupon.objects.get(code="NEW")
    assert (made.discount_percentage, made.max_redemptions_per_customer, made.version) == (
        Decimal("12.5"),
        3,
        0,
    )
    assert set(made.segment_restrictions.values_list("segment_external_id", flat=True)) == {"S1", "S2"}
    changed = Coupon.objects.get(code="OLD")
    assert (changed.name, changed.discount_amount, changed.version) == ("Renamed", Decimal("1.1"), 1)
    assert upsert("coupons", path).counts == {"unchanged": 2, "refused": 4}
    inserted = upsert("coupons", path, "--mode", "insert")
    assert reasons(inserted)["already_exists"] == 3
    removed = upsert("coupons", write("x.csv", "code,name", "old,x", "none,x"), "--mode", "delete")
    assert removed.counts == {"removed": 1, "unchanged": 1}
    assert Coupon.objects.get(code="OLD").is_deleted


@pytest.mark.parametrize("kind", ["products", "categories"])
def test_a_document_of_more_than_256_kb_is_refused_by_itself(shop, upsert, write, kind):
    names = {"products": "name", "categories": "localizedName"}
    row = '{{"id": "{}", "code": "{}", "{}": {{"en": "N"}}, "published": true, "mixins": {{"a": "{}"}}}}'
    path = write(
        "rows.jsonl",
        row.format("big", "B1", names[kind], "x" * 262_144),
        row.format("small", "S1", names[kind], "x" * 1_000),
    )
    answer = upsert(kind, path)
    assert answer.counts == {"created": 1, "refused": 1}
    assert reasons(answer) == {"document_too_large": 1}
