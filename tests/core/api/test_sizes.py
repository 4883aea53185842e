"""One bound for documents by every entry point, and one for pages."""

import json
from unittest import mock

import pytest

from core import memory
from core.admin.forms import DocumentForm
from core.bodies import DocumentTooLarge, Validity, check_document_size, read_bodies
from core.json_values import LARGEST_DOCUMENT
from core.patches import apply_patch
from core.representation import pages
from core.sql import fetching
from segments.models import Segment
from tests.core.imports.conftest import run_command
from tests.factories.catalog import CategoryFactory, ProductFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory

SEGMENTS = "/customer-segment/acme/segments"
BODY = {"name": {"en": "Gold"}, "siteCode": "main"}
LARGE = {"text": "x" * LARGEST_DOCUMENT}
OTHER = {"text": "y" * LARGEST_DOCUMENT}
LARGER = {"text": "x" * (LARGEST_DOCUMENT + 9_000)}


def test_a_document_has_at_most_256_kb():
    check_document_size("x" * (LARGEST_DOCUMENT - 2))
    with pytest.raises(DocumentTooLarge, match="has 256 KB; the limit is 256 KB"):
        check_document_size("x" * (LARGEST_DOCUMENT - 1))


def test_a_stored_document_may_be_as_large_as_it_is():
    check_document_size(LARGE, stored=LARGE)
    with pytest.raises(DocumentTooLarge):
        check_document_size(LARGER, stored=LARGE)


@pytest.mark.parametrize("method", ["post", "put"])
def test_a_larger_document_is_refused(api, site, method):
    address = SEGMENTS if method == "post" else f"{SEGMENTS}/gold"
    refused = getattr(api, method)(address, {**BODY, "mixins": LARGE})
    assert refused.status_code == 400
    assert "the limit is 256 KB" in refused.json()["message"]
    assert not Segment.objects.exists()


def test_a_large_entry_of_a_bulk_body_spoils_no_other(api, site):
    rows = [{"id": "a", **BODY}, {"id": "b", **BODY, "mixins": LARGE}]
    first, second = api.put(f"{SEGMENTS}/bulk", rows).json()
    assert (first["code"], second["code"]) == (201, 400)
    assert second["message"].startswith("The document has 256 KB; the limit is 256 KB.")
    assert [segment.external_id for segment in Segment.objects.all()] == ["a"]


def test_bodies_that_were_refused_before_keep_their_error():
    refused = DocumentTooLarge("The document is too large.")
    assert read_bodies(Validity, [{}, refused]) == [Validity(), refused]


def test_a_larger_one_that_is_stored_can_be_read_and_written_unless_it_grows(api, site):
    SegmentFactory(site=site, external_id="gold", mixins=LARGE)
    document = api.get(f"{SEGMENTS}/gold").json()
    assert document["mixins"] == LARGE

    assert api.put(f"{SEGMENTS}/gold", {**document, "status": "INACTIVE"}).status_code == 400  # 2 bytes more
    assert api.put(f"{SEGMENTS}/gold", {**document, "name": {"en": "G"}}).status_code == 204
    assert api.patch(f"{SEGMENTS}/gold", {"name": {"en": "H"}}).status_code == 204
    for patch in ({"mixins": LARGER}, [{"op": "add", "path": "/mixins/more", "value": "x" * 9_000}]):
        refused = api.patch(f"{SEGMENTS}/gold", patch)
        assert (refused.status_code, "the limit is 256 KB" in refused.json()["message"]) == (400, True)
    assert api.patch(f"{SEGMENTS}/gold", {"mixins": None}).status_code == 204


def test_small_patches_do_not_add_up_to_a_large_document():
    document = {"mixins": {"text": "x" * (LARGEST_DOCUMENT - 1_000)}}
    with pytest.raises(DocumentTooLarge):
        apply_patch(document, {"mixins": {"more": "x" * 1_000}}, protected=())


def test_forms_of_the_admin_have_the_same_bound(site):
    class SegmentForm(DocumentForm):
        class Meta:
            model = Segment
            fields = ("mixins",)

    segment = SegmentFactory(site=site, mixins=LARGE)
    assert SegmentForm({"mixins": json.dumps(LARGE)}, instance=segment).is_valid() is True
    form = SegmentForm({"mixins": json.dumps(LARGER)}, instance=segment)
    assert list(form.errors) == ["mixins"]
    assert "the limit is 256 KB" in form.errors["mixins"][0]


def test_parts_of_a_form_do_not_add_up_to_a_large_document(site):
    class SegmentForm(DocumentForm):
        class Meta:
            model = Segment
            fields = ("mixins", "mixin_schemas")

    half = {"text": "x" * (LARGEST_DOCUMENT // 2)}
    entered = {"mixins": json.dumps(half), "mixin_schemas": json.dumps(half)}
    form = SegmentForm(entered, instance=SegmentFactory(site=site))
    assert "the limit is 256 KB" in form.non_field_errors()[0]
    stored = SegmentFactory(site=site, mixins=half, mixin_schemas=half)
    assert SegmentForm(entered, instance=stored).is_valid() is True


@pytest.mark.parametrize("size", [100, 200])
def test_a_page_that_is_too_large_is_refused_and_never_short(api, site, size):
    SegmentFactory.create_batch(10, site=site, mixins={"text": "x" * 1_000})
    with mock.patch("core.representation.pages.LARGEST_PAGE_BYTES", 8_000):
        refused = api.get(SEGMENTS, pageSize=str(size))
        assert refused.status_code == 400
        assert f"smaller pageSize than {size}, or name the fields" in refused.json()["message"]
        assert len(api.get(SEGMENTS, pageSize=str(size), fields="id").json()) == 10
        assert len(api.get(SEGMENTS, pageSize="4").json()) == 4
    assert len(api.get(SEGMENTS, pageSize=str(size)).json()) == 10


def test_memory_is_given_back_after_a_large_body(api, site):
    SegmentFactory.create_batch(6, site=site, mixins={"text": "x" * 200_000})
    with mock.patch("core.api.middleware.trim_soon") as trimmed:
        api.get(SEGMENTS, fields="id")
        assert not trimmed.called
        api.get(SEGMENTS)
        assert trimmed.called


def test_one_timer_gives_memory_back_for_all():
    with mock.patch("core.memory.Timer") as timer:
        memory.trim_soon()
        memory.trim_soon()
        assert timer.call_count == 1
        memory.trim()
        memory.trim_soon()
        assert timer.call_count == 2
    memory.waiting.clear()


def test_what_a_large_result_leaves_behind_is_given_up():
    with mock.patch.object(fetching, "connections") as connections:
        fetching.cursors.by_text["SELECT 1"] = (mock.Mock(), "SELECT 1")
        connections["default"].close_at = None

        fetching.release_large_result()

        assert connections["default"].close_at is not None  # Django closes it when the request ends
        assert fetching.cursors.by_text == {}


def test_a_larger_entry_of_a_bulk_body_that_is_stored_may_be_written_unless_it_grows(api, site, tenant):
    gold = SegmentFactory(site=site, external_id="gold", mixins=LARGE)
    member = CustomerAssignmentFactory(segment=gold, mixins=LARGE)
    product = ProductFactory(tenant=tenant, external_id="P", code="p", name={"en": "P"}, mixins=LARGE)
    item = ItemAssignmentFactory(segment=gold, product=product, mixins=LARGE)
    bulks = [
        (f"{SEGMENTS}/bulk", {"id": "gold", **BODY}),
        (f"{SEGMENTS}/gold/customers/bulk", {"customerId": member.customer.external_id}),
        (f"{SEGMENTS}/gold/items/PRODUCT/bulk", {"id": item.product.external_id}),
        ("/product/acme/products/bulk", {"id": "P", "code": "p", "name": {"en": "P"}}),
    ]
    for address, entry in bulks:
        sent = [{**entry, "mixins": LARGE}, {**entry, "mixins": LARGER}]
        assert [found["code"] for found in api.put(address, sent).json()] == [204, 400], address


def test_a_larger_row_of_a_file_that_is_stored_may_be_written_unless_it_grows(site, tenant, tmp_path):
    gold = SegmentFactory(site=site, external_id="gold", mixins=LARGE)
    member = CustomerAssignmentFactory(segment=gold, mixins=LARGE)
    product = ProductFactory(tenant=tenant, external_id="P", code="p", name={"en": "P"}, mixins=LARGE)
    ItemAssignmentFactory(segment=gold, product=product, mixins=LARGE)
    number = member.customer.external_id
    kinds = {
        "segments": {"id": "gold"},
        "segment_customers": {"segmentId": "gold", "customerId": number},
        "segment_items": {"segmentId": "gold", "type": "PRODUCT", "id": "P"},
        "products": {"id": "P"},
    }
    for kind, row in kinds.items():
        path = tmp_path / f"{kind}.jsonl"
        for mixins, counts in ((OTHER, {"changed": 1}), (LARGER, {"refused": 1})):
            path.write_text(json.dumps({**row, "mixins": mixins}) + "\n")
            answer = run_command(f"upsert_{kind}", path, tenant="acme", json=True)
            assert answer.counts == counts, (kind, answer.text[:300])
        assert answer.json["refusedByReason"] == {"document_too_large": 1}
    path.write_text(json.dumps({"id": "N", "code": "n", "name": {"en": "N"}, "mixins": LARGE}) + "\n")
    assert run_command("upsert_products", path, tenant="acme", json=True).counts == {"refused": 1}


@pytest.mark.parametrize(("largest", "calls"), [(1, 1), (1_000_000, 0)])
def test_only_a_large_page_is_given_up(api, site, monkeypatch, largest, calls):
    SegmentFactory(site=site)
    monkeypatch.setattr(pages, "LARGE_RESULT", largest)

    with mock.patch.object(pages, "release_large_result") as release:
        assert len(api.get(SEGMENTS).json()) == 1

    assert release.call_count == calls


HALF = LARGEST_DOCUMENT * 2 // 3


@pytest.mark.parametrize("format", ["csv", "jsonl"])
@pytest.mark.parametrize("kind", ["products", "segments", "categories"])
def test_columns_of_a_file_do_not_add_up_to_a_larger_document(site, tmp_path, kind, format):
    """A row of the file is small enough, and so is what is stored; together they would not be."""
    factory = {"products": ProductFactory, "segments": SegmentFactory, "categories": CategoryFactory}[kind]
    owner = {"site": site} if kind == "segments" else {"tenant": site.tenant}
    stored = factory(external_id="a", mixins={"text": "x" * HALF}, **owner)
    texts = {"look": f"https://example.com/{'y' * (1_900 if kind != 'segments' else HALF)}"}
    schemas = texts if kind == "segments" else {f"look{n}": texts["look"] for n in range(HALF // 1_900)}
    path = tmp_path / f"rows.{format}"

    def upsert(schemas):
        if format == "jsonl":
            path.write_text(json.dumps({"id": "a", "metadata": {"mixins": schemas}}) + "\n")
        else:
            cell = json.dumps(schemas).replace('"', '""')
            path.write_text(f'id,metadata.mixins\na,"{cell}"\n')
        return run_command(f"upsert_{kind}", path, "--tenant", "acme", "--json")

    refused = upsert(schemas)
    assert refused.json["refusedByReason"] == {"document_too_large": 1}, refused.text
    stored.refresh_from_db()
    assert stored.mixin_schemas is None
    assert upsert({"look": "https://example.com/"}).counts == {"changed": 1}
    type(stored)._default_manager.filter(pk=stored.pk).update(mixins={"text": "x" * LARGEST_DOCUMENT})
    assert upsert({"look": "https://example.com"}).counts == {"changed": 1}  # it does not grow
    assert upsert({"look": "https://example.com/more"}).counts == {"refused": 1}
