"""For every kind: a column that a file does not have keeps its value, an empty value empties it."""

import csv
import io
from datetime import UTC, datetime

import orjson
import pytest

from accounts.models import Customer, LegalEntity
from catalog.models import Category, Product
from core.imports import merge as merging
from coupons.models import Coupon
from segments.models import CustomerAssignment, ItemAssignment, Segment
from tests.core.imports.test_all_kinds import KINDS, MODELS
from tests.factories.accounts import CustomerFactory, LegalEntityFactory
from tests.factories.catalog import CategoryFactory, ProductFactory
from tests.factories.coupons import CouponFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory

JANUARY, FEBRUARY = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)


def stored_rows(kind, tenant):
    return list(MODELS[kind.name].objects.filter(tenant=tenant).order_by("pk").values())


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_csv_file_with_few_columns_leaves_the_other_values_alone(full_shop, upsert, run, tmp_path, kind):
    path = tmp_path / "rows.csv"
    run(f"export_{kind.name}", path, "--tenant", "acme")
    header, *rows = csv.reader(io.StringIO(path.read_text()))
    keys = [index for index, name in enumerate(header) if name.partition(".")[0] in kind.export.key]
    before = stored_rows(kind, full_shop.tenant)
    for extra in [[], *([index] for index in range(len(header)) if index not in keys)]:
        with path.open("w", newline="") as file:
            for row in [header, *rows]:
                csv.writer(file, lineterminator="\n").writerow([row[index] for index in [*keys, *extra]])
        answer = upsert(kind.name, path)
        named = [header[index] for index in extra]
        assert (answer.status, answer.counts) == (0, {"unchanged": len(rows)}), named
        assert stored_rows(kind, full_shop.tenant) == before, named


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_json_lines_with_few_members_leave_the_other_values_alone(full_shop, upsert, run, tmp_path, kind):
    path = tmp_path / "rows.jsonl"
    run(f"export_{kind.name}", path, "--tenant", "acme")
    bodies = [orjson.loads(line) for line in path.read_text().splitlines()]
    before = stored_rows(kind, full_shop.tenant)
    members = {name for body in bodies for name in body}.difference(kind.export.key)
    for extra in [None, *sorted(members)]:
        kept = {*kind.export.key, extra}
        cut = [{name: value for name, value in body.items() if name in kept} for body in bodies]
        path.write_bytes(b"".join(orjson.dumps(body) + b"\n" for body in cut))
        answer = upsert(kind.name, path)
        assert (answer.status, answer.counts) == (0, {"unchanged": len(bodies)}), extra
        assert stored_rows(kind, full_shop.tenant) == before, extra


# --- customers ---


@pytest.fixture
def ann(shop):
    return CustomerFactory(
        tenant=shop.tenant,
        external_id="A1",
        email="ann@example.com",
        first_name="Ann",
        last_name="Lee",
        company="Tea Inc.",
        preferred_language="de",
        is_active=False,
        mixins={"a": 1},
    )


def test_a_list_of_addresses_keeps_names_and_companies(ann, upsert, write):
    path = write("rows.csv", "id,contactEmail", "A1,new@example.com", "N1,n1@example.com")
    assert upsert("customers", path).counts == {"created": 1, "changed": 1}
    ann.refresh_from_db()
    assert (ann.email, ann.first_name, ann.last_name, ann.company, ann.preferred_language) == (
        "new@example.com",
        "Ann",
        "Lee",
        "Tea Inc.",
        "de",
    )
    assert (ann.is_active, ann.mixins, ann.version) == (False, {"a": 1}, 2)
    new = Customer.objects.get(external_id="N1")
    assert (new.first_name, new.preferred_language, new.is_active) == ("", "en", True)


def test_an_empty_cell_empties_its_column_and_the_dry_run_says_so(ann, upsert, run, write):
    path = write("rows.csv", "id,company,preferredLanguage,mixins,title", "A1,,,,", "C1,,,,")
    Customer.objects.filter(external_id="C1").update(company="Coffee Inc.", preferred_language="en")
    dry = upsert("customers", path, "--dry-run")
    assert dry.json["emptied"] == {"company": 2, "mixins": 1, "preferredLanguage": 1}
    words = run("upsert_customers", path, "--tenant", "acme", "--dry-run").text.splitlines()
    assert words[1:] == [
        "company would be emptied in 2 rows.",
        "mixins would be emptied in 1 row.",
        "preferredLanguage would be emptied in 1 row.",
    ]
    assert upsert("customers", path).counts == {"changed": 2}
    ann.refresh_from_db()
    assert (ann.company, ann.preferred_language, ann.mixins, ann.last_name) == ("", "en", None, "Lee")


def test_null_empties_and_absent_leaves_row_by_row(ann, upsert, write):
    path = write(
        "rows.jsonl",
        '{"id":"A1","company":null,"firstName":"Anne"}',
        '{"id":"C1","lastName":"Roe"}',
        '{"id":"C2","b2b":{"companyRegistrationId":"HRB 2"}}',
    )
    assert upsert("customers", path, "--dry-run").json["emptied"] == {"company": 1}
    assert upsert("customers", path).counts == {"changed": 3}
    ann.refresh_from_db()
    assert (ann.company, ann.first_name, ann.last_name, ann.email) == ("", "Anne", "Lee", "ann@example.com")
    assert Customer.objects.get(external_id="C1").email == "c1@example.com"
    assert Customer.objects.get(external_id="C2").company_registration_id == "HRB 2"
    assert upsert("customers", write("b.jsonl", '{"id":"C2","b2b":null}')).counts == {"changed": 1}
    assert Customer.objects.get(external_id="C2").company_registration_id == ""
    answer = upsert("customers", write("c.jsonl", '{"id":"A1","contactEmail":null}'))
    assert answer.json["refusedByReason"] == {"email_removed": 1}


# --- products ---

DETAILS = {"vendor": {"id": "v"}, "brandId": "b"}


@pytest.fixture
def tea(shop):
    return ProductFactory(
        tenant=shop.tenant,
        external_id="T1",
        code="tea",
        name={"en": "Tea", "de": "Tee"},
        description={"en": "Green"},
        details=DETAILS,
        is_published=True,
    )


def test_one_language_and_one_attribute_of_a_product_change_alone(tea, upsert, write):
    path = write("rows.csv", "id,name.de,brandId", "T1,Grüner Tee,c")
    assert upsert("products", path).counts == {"changed": 1}
    tea.refresh_from_db()
    assert (tea.code, tea.name, tea.description) == (
        "tea",
        {"en": "Tea", "de": "Grüner Tee"},
        {"en": "Green"},
    )
    assert (tea.details, tea.is_published) == ({"vendor": {"id": "v"}, "brandId": "c"}, True)


def test_one_language_and_one_attribute_of_a_product_are_emptied_alone(tea, upsert, write):
    path = write("rows.csv", "id,name.de,vendor,description.en,description.fr", "T1,,,,")
    assert upsert("products", path, "--dry-run").json["emptied"] == {
        "description.en": 1,
        "name.de": 1,
        "vendor": 1,
    }
    assert upsert("products", path).counts == {"changed": 1}
    tea.refresh_from_db()
    assert (tea.name, tea.description, tea.details) == ({"en": "Tea"}, {}, {"brandId": "b"})


@pytest.mark.parametrize(
    ("line", "name", "details"),
    [
        ({"name": {"de": None}}, {"en": "Tea"}, DETAILS),
        ({"name": {"fr": "Thé"}}, {"en": "Tea", "de": "Tee", "fr": "Thé"}, DETAILS),
        (
            {"vendor": None, "weightDependent": True},
            {"en": "Tea", "de": "Tee"},
            {"brandId": "b", "weightDependent": True},
        ),
        ({"name": "Black tea"}, {"en": "Black tea", "de": "Tee"}, DETAILS),
    ],
    ids=["null-language", "new-language", "null-attribute", "text"],
)
def test_json_lines_change_single_members_of_a_product(tea, upsert, write, line, name, details):
    path = write("rows.jsonl", orjson.dumps({"id": "T1", **line}).decode())
    assert upsert("products", path).counts == {"changed": 1}
    tea.refresh_from_db()
    assert (tea.name, tea.details) == (name, details)


@pytest.mark.parametrize(
    ("name", "lines", "message"),
    [
        ("a.csv", ["id,name.en,name.de", "T1,,"], "name is missing"),
        ("a.csv", ["id,name.en,name.de", "T1,\u3164,\u2800\ufe0f"], "name needs a text"),
        ("a.jsonl", ['{"id":"T1","name":null}'], "name is missing"),
        ("a.csv", ["id,code", "T1,"], "code is missing"),
        ("a.jsonl", ['{"id":"T1","code":null}'], "code is missing"),
        ("a.csv", ["id,name.en", "new,New"], "code is missing"),
        ("a.csv", ["id,code", "new,new"], "name is missing"),
        ("a.jsonl", ['{"id":"new","code":"new","published":true}'], "name is missing"),
    ],
)
def test_a_product_never_loses_its_name_or_code(tea, upsert, write, tmp_path, name, lines, message):
    rejects = tmp_path / "rejects"
    before = Product.objects.filter(pk=tea.pk).values().get()
    answer = upsert("products", write(name, *lines), "--rejects", rejects)
    assert answer.counts == {"refused": 1}
    assert message in rejects.read_text()
    assert Product.objects.filter(pk=tea.pk).values().get() == before
    assert not Product.objects.filter(external_id="new").exists()


def test_a_file_for_new_rows_needs_every_required_column(tea, upsert, write):
    answer = upsert("products", write("a.csv", "id,name.en", "new,New"), "--mode", "insert")
    assert (answer.status, answer.message) == (2, "Line 1: the column code is missing.")


# --- segments and what belongs to them ---


def test_a_segment_is_switched_off_by_its_status_alone(shop, upsert, write):
    segment = SegmentFactory(
        site=shop.site, external_id="X", name={"en": "X", "de": "Y"}, valid_from=JANUARY, status="ACTIVE"
    )
    assert upsert("segments", write("a.csv", "id,status", "X,INACTIVE")).counts == {"changed": 1}
    segment.refresh_from_db()
    assert (segment.status, segment.name, segment.valid_from, segment.site) == (
        "INACTIVE",
        {"en": "X", "de": "Y"},
        JANUARY,
        shop.site,
    )
    answer = upsert("segments", write("b.csv", "id,status,name.en", "new,ACTIVE,New"))
    assert answer.json["refusedByReason"] == {"invalid_input": 1}


@pytest.mark.parametrize("kind", ["segments", "segment_customers", "segment_items"])
def test_one_end_of_a_window_keeps_the_other_and_may_not_contradict_it(shop, upsert, write, kind):
    row, header, name = {
        "segments": (
            SegmentFactory(site=shop.site, external_id="X", valid_from=JANUARY, valid_to=FEBRUARY),
            "id",
            "X",
        ),
        "segment_customers": (
            CustomerAssignmentFactory(
                segment=shop.segments[0], customer=shop.customers[0], valid_from=JANUARY, valid_to=FEBRUARY
            ),
            "segmentId,customerId",
            "S1,C1",
        ),
        "segment_items": (
            ItemAssignmentFactory(
                segment=shop.segments[0], product=shop.products[0], valid_from=JANUARY, valid_to=FEBRUARY
            ),
            "segmentId,type,id",
            "S1,PRODUCT,P1",
        ),
    }[kind]
    path = write("a.csv", f"{header},validity.from", f"{name},2026-01-15T00:00:00Z")
    assert upsert(kind, path).counts == {"changed": 1}
    row.refresh_from_db()
    assert (row.valid_from, row.valid_to) == (datetime(2026, 1, 15, tzinfo=UTC), FEBRUARY)
    path = write("a.csv", f"{header},validity.from", f"{name},2026-03-01T00:00:00Z")
    assert upsert(kind, path).json["refusedByReason"] == {"invalid_input": 1}
    path = write("a.csv", f"{header},validity.to", f"{name},")
    assert upsert(kind, path, "--dry-run").json["emptied"] == {"validity.to": 1}
    assert upsert(kind, path).counts == {"changed": 1}
    row.refresh_from_db()
    assert (row.valid_from, row.valid_to) == (datetime(2026, 1, 15, tzinfo=UTC), None)


def test_a_list_of_ids_keeps_the_windows_of_members(shop, upsert, write):
    row = CustomerAssignmentFactory(
        segment=shop.segments[0], customer=shop.customers[0], valid_to=FEBRUARY, mixins={"a": 1}
    )
    path = write("a.csv", "segmentId,customerId", "S1,C1", "S1,C2")
    assert upsert("segment_customers", path, "--mode", "replace").counts == {"created": 1, "unchanged": 1}
    line = '{"segmentId":"S1","customerId":"C1","mixins":{"a":2}}'
    assert upsert("segment_customers", write("a.jsonl", line)).counts == {"changed": 1}
    row.refresh_from_db()
    assert (row.valid_to, row.mixins) == (FEBRUARY, {"a": 2})
    line = '{"segmentId":"S1","customerId":"C1","validity":null,"mixins":{}}'
    path = write("a.jsonl", line)
    assert upsert("segment_customers", path, "--dry-run").json["emptied"] == {"mixins": 1, "validity.to": 1}
    assert upsert("segment_customers", path).counts == {"changed": 1}
    row.refresh_from_db()
    assert (row.valid_to, row.mixins) == (None, {})


def test_a_list_of_items_keeps_their_subcategories(shop, upsert, write):
    row = ItemAssignmentFactory(
        segment=shop.segments[0],
        product=None,
        category=Category.objects.get(external_id="K1"),
        includes_subcategories=True,
    )
    path = write("a.csv", "segmentId,type,id,validity.to", "S1,CATEGORY,K1,2026-02-01T00:00:00Z")
    assert upsert("segment_items", path).counts == {"changed": 1}
    row.refresh_from_db()
    assert (row.includes_subcategories, row.valid_to) == (True, FEBRUARY)
    path = write("a.csv", "segmentId,type,id,includeSubcategories", "S1,CATEGORY,K1,")
    assert upsert("segment_items", path).counts == {"changed": 1}
    assert not ItemAssignment.objects.get().includes_subcategories


def test_a_change_that_comes_in_between_is_kept(shop, upsert, write, monkeypatch):
    """Another writer changes a column that the file does not have, before the import has locked the row."""
    row = SegmentFactory(site=shop.site, external_id="X", name={"en": "X", "de": "Y"}, status="ACTIVE")
    whole = merging.Merge.look_up

    def changed_meanwhile(self, cursor, resolving):
        survey = whole(self, cursor, resolving)
        if not Segment.objects.filter(pk=row.pk, version__gt=row.version).exists():
            Segment.objects.filter(pk=row.pk).update(
                name={"en": "X", "de": "Z"}, status="INACTIVE", version=row.version + 1
            )
        return survey

    monkeypatch.setattr(merging.Merge, "look_up", changed_meanwhile)
    assert upsert("segments", write("a.jsonl", '{"id":"X","name":{"en":"New"}}')).counts == {"changed": 1}
    stored = Segment.objects.get(pk=row.pk)
    assert (stored.name, stored.status, stored.version) == (
        {"en": "New", "de": "Z"},
        "INACTIVE",
        row.version + 2,
    )


# --- kinds that are written by bulk operations ---


def test_a_category_keeps_what_a_file_does_not_have(shop, upsert, write):
    parent = Category.objects.get(external_id="K1")
    category = CategoryFactory(
        tenant=shop.tenant,
        external_id="X",
        parent=parent,
        code="x",
        name={"en": "X", "de": "Y"},
        slug={"en": "x"},
        is_published=True,
        valid_from=JANUARY,
        valid_to=FEBRUARY,
    )
    path = write("a.csv", "id,localizedName.en,validity.to", "X,New,")
    assert upsert("categories", path, "--dry-run").json["emptied"] == {"validity.to": 1}
    assert upsert("categories", path).counts == {"changed": 1}
    category.refresh_from_db()
    assert (category.name, category.slug, category.code) == ({"en": "New", "de": "Y"}, {"en": "x"}, "x")
    assert (category.parent.external_id, category.is_published) == ("K1", True)
    assert (category.valid_from, category.valid_to) == (JANUARY, None)
    path = write("a.jsonl", '{"id":"X","parentId":null,"localizedName":{"de":null}}')
    assert upsert("categories", path).counts == {"changed": 1}
    category = Category.objects.get(external_id="X")
    assert (category.is_root, category.name) == (True, {"en": "New"})
    answer = upsert("categories", write("a.csv", "id,localizedName.en", "X,"))
    assert answer.counts == {"refused": 1}


def test_a_legal_entity_keeps_what_a_file_does_not_have(shop, upsert, write):
    entity = LegalEntityFactory(
        tenant=shop.tenant,
        external_id="X",
        name="X",
        type="SUBSIDIARY",
        parent=shop.company,
        legal_info={"legalName": "X Inc.", "registrationId": "7"},
        account_limit={"currency": "EUR", "value": 7.5},
        restrictions=["US"],
    )
    path = write("a.csv", "id,legalInfo.registrationId,accountLimit.value", "X,8,")
    assert upsert("legal_entities", path, "--dry-run").json["emptied"] == {"accountLimit.value": 1}
    assert upsert("legal_entities", path).counts == {"changed": 1}
    entity.refresh_from_db()
    assert (entity.name, entity.type, entity.parent, entity.restrictions) == (
        "X",
        "SUBSIDIARY",
        shop.company,
        ["US"],
    )
    assert (entity.legal_info, entity.account_limit) == (
        {"legalName": "X Inc.", "registrationId": "8"},
        {"currency": "EUR"},
    )
    assert upsert("legal_entities", write("a.jsonl", '{"id":"X","legalInfo":null}')).counts == {"changed": 1}
    assert LegalEntity.objects.get(external_id="X").legal_info == {}


def test_a_coupon_keeps_what_a_file_does_not_have(shop, upsert, write):
    coupon = CouponFactory(
        tenant=shop.tenant,
        code="X",
        name="X",
        description="About X",
        max_redemptions=5,
        valid_for=["C1"],
        valid_to=FEBRUARY,
    )
    terms = (coupon.discount_type, coupon.discount_percentage, coupon.discount_amount)
    path = write("a.csv", "code,maxRedemptions", "x,7")
    assert upsert("coupons", path).counts == {"changed": 1}
    coupon.refresh_from_db()
    assert (coupon.name, coupon.description, coupon.max_redemptions, coupon.valid_for, coupon.valid_to) == (
        "X",
        "About X",
        7,
        ["C1"],
        FEBRUARY,
    )
    assert (coupon.discount_type, coupon.discount_percentage, coupon.discount_amount) == terms
    path = write("a.jsonl", '{"code":"X","description":null,"restrictions":{"validFor":null}}')
    assert upsert("coupons", path, "--dry-run").json["emptied"] == {
        "description": 1,
        "restrictions.validFor": 1,
    }
    assert upsert("coupons", path).counts == {"changed": 1}
    coupon = Coupon.objects.get(code="X")
    assert (coupon.description, coupon.valid_for, coupon.valid_to) == ("", [], FEBRUARY)


def test_what_has_no_amount_gets_none_of_empty_columns(shop, upsert, write):
    CouponFactory(tenant=shop.tenant, code="NONE")
    CouponFactory(tenant=shop.tenant, code="SOME", min_order_amount=5, min_order_currency="EUR")
    header = "code,restrictions.minOrderValue.amount,restrictions.minOrderValue.currency"
    assert upsert("coupons", write("a.csv", header, "NONE,,", "SOME,5,EUR")).counts == {"unchanged": 2}
    row = '{"code":"NONE","restrictions":{"minOrderValue":null}}'
    assert upsert("coupons", write("a.jsonl", row)).counts == {"unchanged": 1}
    assert upsert("coupons", write("b.csv", header, "SOME,,")).counts == {"changed": 1}
    found = Coupon.objects.filter(code__in=["NONE", "SOME"])
    assert [(one.min_order_amount, one.min_order_currency) for one in found] == [(None, None)] * 2


def test_rows_of_the_same_thing_add_up_in_kinds_that_are_completed(shop, upsert, write):
    path = write("a.jsonl", '{"id":"L1","name":"New"}', '{"id":"L1","restrictions":["US"]}')
    assert upsert("legal_entities", path).counts == {"changed": 1, "repeated": 1}
    entity = LegalEntity.objects.get(external_id="L1")
    assert (entity.name, entity.restrictions) == ("New", ["US"])


@pytest.mark.usefixtures("real_time")
def test_an_undone_import_of_one_column_restores_the_whole_row(shop, upsert, run, write):
    row = CustomerAssignmentFactory(
        segment=shop.segments[0], customer=shop.customers[0], valid_to=FEBRUARY, mixins={"a": 1}
    )
    path = write("a.csv", "segmentId,customerId,validity.from", "S1,C1,2026-01-01T00:00:00Z")
    answer = upsert("segment_customers", path)
    assert run("undo_import", answer.json["run"]).status == 0
    stored = CustomerAssignment.objects.get(pk=row.pk)
    assert (stored.valid_from, stored.valid_to, stored.mixins) == (None, FEBRUARY, {"a": 1})
