"""Taking changes back: the opposite of each kind of change, and what is left alone."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.utils import timezone

from accounts.models import Customer
from catalog import tree
from catalog.models import Category, CategoryAssignment
from catalog.tree import LockedTree
from catalog.tree_checks import tree_problems
from core.actors import Actor, ActorType, acting_as
from core.background.models import Job, JobState
from core.background.worker import finish_job
from core.journal.management.commands.undo_change import Command as UndoCommand
from core.journal.models import Change
from core.journal.undo import occasions, plans
from core.journal.undo.changes import ChangeNotFound, NotUndoable, Undone
from core.journal.undo.documents import TAKEN, by_halves
from core.journal.undo.plans import plan_undo, undo_change
from core.sql.lock_limits import LockedForTooLong
from coupons.models import Coupon, CouponSegment
from segments.models import CustomerAssignment, ItemAssignment, Segment
from tests.factories.accounts import ContactAssignmentFactory, CustomerFactory, LegalEntityFactory
from tests.factories.catalog import CategoryAssignmentFactory, CategoryFactory, ProductFactory
from tests.factories.coupons import CouponFactory, CouponSegmentFactory, RedemptionFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory

SEGMENTS = "/customer-segment/acme/segments"
pytestmark = pytest.mark.usefixtures("real_time")


@pytest.fixture
def gold(site):
    return SegmentFactory(site=site, external_id="gold", name={"en": "Gold"})


def last(name, kind):
    return Change.objects.filter(object=name, kind=kind).order_by("-id").first()


def undo(change):
    plan = plan_undo(change.id, tenant_id=change.tenant_id, at=timezone.now())
    return undo_change(plan, at=timezone.now())


def reasons(undone):
    return [entry["reason"] for entry in undone.left_alone]


def members(segment):
    return sorted(segment.customer_assignments.values_list("customer__external_id", flat=True))


def test_members_that_were_added_are_removed_again(api, tenant, gold):
    for name in ("C1", "C2", "C3"):
        CustomerFactory(tenant=tenant, external_id=name)
    api.put(f"{SEGMENTS}/gold/customers/bulk", [{"customerId": name} for name in ("C1", "C2", "C3")])
    added = last("segment-customer", "created")
    api.put(f"{SEGMENTS}/gold/customers/C2", {"validity": {"to": "2030-01-01T00:00:00.000Z"}})
    undone = undo(added)
    assert members(gold) == ["C2"]
    assert undone.taken_back == {("segment-customer", "created"): 2}
    assert undone.left_alone == [
        {
            "changeId": added.id,
            "object": {"type": "segment-customer", "id": "gold"},
            "reason": "it was changed since",
            "count": 1,
            "members": ["C2"],
        }
    ]


def test_an_undo_is_recorded_with_its_source_and_can_be_taken_back(api, tenant, gold):
    CustomerFactory(tenant=tenant, external_id="C1")
    body = {"mixins": {"a": 1}, "validity": {"to": "2030-01-01T00:00:00.000Z"}}
    api.put(f"{SEGMENTS}/gold/customers/C1", body)
    api.delete(f"{SEGMENTS}/gold/customers/C1")
    removed = last("segment-customer", "deleted")
    undo(removed)
    assert gold.customer_assignments.get().mixins == {"a": 1}
    back = last("segment-customer", "created")
    assert (back.source_type, back.source_id) == ("undo", str(removed.id))
    undo(back)
    assert members(gold) == []
    assert reasons(undo(back)) == ["it was deleted since"]


def test_what_was_changed_and_taken_back_is_as_it_was_left(api, tenant, gold):
    CustomerFactory(tenant=tenant, external_id="C1")
    api.put(f"{SEGMENTS}/gold/customers/C1", {})
    added, plain = last("segment-customer", "created"), gold.customer_assignments.get().mixins
    api.put(f"{SEGMENTS}/gold/customers/C1", {"mixins": {"a": 1}})
    undo(last("segment-customer", "updated"))
    assert gold.customer_assignments.get().mixins == plain
    assert gold.customer_assignments.get().version == 3
    undo(added)
    assert members(gold) == []


def test_a_changed_segment_becomes_what_it_was(api, gold):
    api.patch(f"{SEGMENTS}/gold", {"name": {"en": "Golden"}, "status": "ACTIVE"})
    renamed = last("segment", "updated")
    assert undo(renamed).taken_back == {("segment", "updated"): 1}
    gold.refresh_from_db()
    assert (gold.name, gold.version) == ({"en": "Gold"}, 3)
    assert reasons(undo(renamed)) == ["it was changed since"]


def test_a_deleted_segment_is_restored_with_members_items_and_coupons(api, tenant, gold):
    company = LegalEntityFactory(tenant=tenant, external_id="E1")
    customer = CustomerFactory(tenant=tenant, external_id="C1")
    ContactAssignmentFactory(legal_entity=company, customer=customer)
    for entity in (None, company):
        CustomerAssignmentFactory(segment=gold, customer=customer, legal_entity=entity)
    gone = CustomerFactory(tenant=tenant, external_id="C2")
    CustomerAssignmentFactory(segment=gold, customer=gone)
    ItemAssignmentFactory(segment=gold, product=ProductFactory(tenant=tenant, external_id="P1"))
    category = CategoryFactory(tenant=tenant, external_id="K1")
    ItemAssignmentFactory(segment=gold, product=None, category=category, includes_subcategories=True)
    coupon = CouponFactory(tenant=tenant, is_segment_restricted=True)
    CouponSegmentFactory(coupon=coupon, segment=gold)
    api.delete(f"{SEGMENTS}/gold?forceDelete=true")
    Customer.objects.filter(pk=gone.pk).delete()
    undone = undo(last("segment", "deleted"))
    restored = Segment.objects.get(external_id="gold")
    assert restored.pk == gold.pk
    assert members(restored) == ["C1", "C1"]
    assert ItemAssignment.objects.filter(segment=restored).count() == 2
    assert ItemAssignment.objects.get(category=category).includes_subcategories
    assert CouponSegment.objects.get(coupon=coupon).segment_id == gold.pk
    assert reasons(undone) == ["the customer was deleted since"]
    undo(last("segment", "created"))


def test_a_segment_is_restored_within_thirty_days(api, gold):
    api.delete(f"{SEGMENTS}/gold")
    change = last("segment", "deleted")
    at = timezone.now() + timedelta(days=31)
    with pytest.raises(NotUndoable, match="within 30 days"):
        plan_undo(change.id, tenant_id=None, at=at)


def test_a_segment_whose_id_is_taken_is_left_alone(api, gold, site):
    api.delete(f"{SEGMENTS}/gold")
    removed = last("segment", "deleted")
    SegmentFactory(site=site, external_id="gold")
    assert reasons(undo(removed)) == ["another one has its id, code or number by now"]


def test_a_created_segment_goes_unless_it_is_in_use(api, tenant, site):
    api.post(SEGMENTS, {"id": "new", "name": {"en": "N"}, "siteCode": "main", "status": "ACTIVE"})
    created = last("segment", "created")
    segment = Segment.objects.get(external_id="new")
    assignment = CustomerAssignmentFactory(segment=segment, customer=CustomerFactory(tenant=tenant))
    assert reasons(undo(created)) == ["customer assignments refer to it"]
    CustomerAssignment.objects.filter(pk=assignment.pk).delete()
    undo(created)
    assert not Segment.objects.filter(external_id="new").exists()


def test_what_followed_from_a_deletion_is_undone_with_it(api, tenant, gold):
    CustomerAssignmentFactory(segment=gold, customer=CustomerFactory(tenant=tenant))
    api.delete(f"{SEGMENTS}/gold?forceDelete=true")
    with pytest.raises(NotUndoable, match="Undo that one"):
        plan_undo(last("segment-customer", "deleted").id, tenant_id=None, at=timezone.now())


def test_a_coupon_gets_its_restrictions_back(api, tenant, gold, site):
    SegmentFactory(site=site, external_id="silver")
    body = {"name": "N", "discountType": "PERCENT", "discountPercentage": 5, "segmentRestricted": True}
    body["code"] = "SALE"
    api.post("/coupon/acme/coupons", body | {"restrictions": {"segments": ["gold"]}})
    api.put("/coupon/acme/coupons/SALE", body | {"restrictions": {"segments": ["silver", "gold"]}})
    with pytest.raises(NotUndoable, match="that of its coupon"):
        undo(last("coupon-segment", "created"))
    undo(last("coupon", "updated"))
    coupon = Coupon.objects.get(code="SALE")
    assert [one.segment_external_id for one in coupon.segment_restrictions.all()] == ["gold"]
    undo(last("coupon", "updated"))
    assert sorted(one.segment_external_id for one in coupon.segment_restrictions.all()) == ["gold", "silver"]


def test_a_deleted_coupon_is_back_and_a_used_one_stays(api, tenant):
    coupon = CouponFactory(tenant=tenant, code="SALE")
    api.delete("/coupon/acme/coupons/SALE")
    undo(last("coupon", "updated"))
    assert not Coupon.objects.get(code="SALE").is_deleted
    RedemptionFactory(coupon=coupon)
    assert reasons(undo(last("coupon", "created"))) == ["redemptions refer to it"]


def test_categories_come_back_with_all_below_and_their_products(api, tenant, gold):
    top = CategoryFactory(tenant=tenant, external_id="top")
    middle = CategoryFactory(parent=top, external_id="middle")
    leaf = CategoryFactory(parent=middle, external_id="leaf")
    CategoryAssignmentFactory(category=leaf, product=ProductFactory(tenant=tenant))
    ItemAssignmentFactory(segment=gold, product=None, category=middle)
    api.delete("/category/acme/categories/middle?withSubcategories=true")
    undo(Change.objects.get(object="category", kind="deleted", external_id="middle"))
    assert [node.external_id for node in Category.objects.get(pk=top.pk).get_descendants()] == [
        "middle",
        "leaf",
    ]
    assert CategoryAssignment.objects.get().category_id == leaf.pk
    assert ItemAssignment.objects.get().category_id == middle.pk
    call_command("check_category_tree", stdout=StringIO())


def test_children_of_a_deleted_category_return_to_it(api, tenant):
    top = CategoryFactory(tenant=tenant, external_id="top")
    CategoryFactory(parent=top, external_id="leaf")
    api.delete("/category/acme/categories/top")
    assert Category.objects.get(external_id="leaf").level == 1
    undo(last("category", "deleted"))
    assert Category.objects.get(external_id="leaf").parent_id == top.pk
    call_command("check_category_tree", stdout=StringIO())


def test_a_large_subtree_comes_back_in_steps_from_the_top(api, tenant, monkeypatch):
    monkeypatch.setattr(plans, "LARGEST_STEP", 2)
    top = CategoryFactory(tenant=tenant, external_id="top", code="T")
    names = [f"a{number}" for number in range(3)]
    for name in names:
        CategoryFactory(parent=top, external_id=name)
    CategoryAssignmentFactory(category=CategoryFactory(parent=top), product=ProductFactory(tenant=tenant))
    deepest = CategoryFactory(parent=Category.objects.get(external_id="a0"), external_id="deepest")
    before = list(Category.objects.order_by("lft").values_list("pk", "parent_id", "lft", "rght", "level"))
    api.delete("/category/acme/categories/top?withSubcategories=true")
    CategoryFactory(tenant=tenant, external_id="other")
    at = timezone.now()
    plan = plan_undo(Change.objects.get(external_id="top", kind="deleted").id, tenant_id=tenant.pk, at=at)
    assert ([len(part) for part in plan.documents], plan.steps, plan.is_large) == ([2, 2, 2], 4, True)
    for number in range(plan.steps):
        assert Category.objects.filter(pk=deepest.pk).exists() == (number == 3)
        plan.run_step(number, at, undone := Undone())
        assert not undone.left_alone
        assert tree_problems(tenant.pk) == []
    api.delete("/category/acme/categories/other")
    assert CategoryAssignment.objects.count() == 1
    stored = Category.objects.order_by("lft").values_list("pk", "parent_id", "lft", "rght", "level")
    assert list(stored) == before


@pytest.mark.parametrize("number", [3, 30])
def test_a_subtree_comes_back_in_as_many_statements_whatever_its_size(
    api, tenant, django_assert_max_num_queries, number
):
    top = CategoryFactory(tenant=tenant, external_id="top")
    for _ in range(number):
        CategoryFactory(parent=top)
    api.delete("/category/acme/categories/top?withSubcategories=true")
    deleted = Change.objects.get(object="category", kind="deleted", external_id="top")
    with django_assert_max_num_queries(60):
        assert undo(deleted).total == number + 1
    assert tree_problems(tenant.pk) == []


def test_an_occasion_of_many_documents_is_taken_back_in_the_background(tenant, gold, site, monkeypatch):
    monkeypatch.setattr(occasions, "LARGEST_STEP", 1)
    silver = SegmentFactory(site=site, external_id="silver", name={"en": "Silver"})
    with acting_as(Actor(ActorType.STAFF, "test", "", "admin", "r1")), transaction.atomic():
        for segment in (gold, silver):
            Segment.objects.filter(pk=segment.pk).update(name={"en": "Other"})
    occasion = occasions.occasion_of_source("admin", "r1", tenant_id=tenant.pk)
    job = occasions.undo_occasion(occasion, at=timezone.now())
    assert isinstance(job, Job)
    assert finish_job(job, lambda job: None).state == JobState.DONE
    names = Segment.objects.order_by("external_id").values_list("name__en", flat=True)
    assert list(names) == ["Gold", "Silver"]


def test_a_category_whose_code_is_taken_keeps_no_other_from_coming_back(api, tenant, monkeypatch):
    placed = []
    place_forest = LockedTree.place_forest
    monkeypatch.setattr(LockedTree, "place_forest", lambda tree: (placed.append(tree), place_forest(tree)))
    top = CategoryFactory(tenant=tenant, external_id="top")
    for number in range(5):
        CategoryFactory(parent=top, external_id=f"c{number}", code=f"C{number}")
    api.delete("/category/acme/categories/top?withSubcategories=true")
    CategoryFactory(tenant=tenant, code="C3")
    undone = undo(Change.objects.get(object="category", kind="deleted", external_id="top"))
    assert [(one["object"]["id"], one["reason"]) for one in undone.left_alone] == [("c3", TAKEN)]
    assert Category.objects.filter(parent=top.pk).count() == 4
    assert len(placed) == 1  # for all levels together, and whatever was tried in parts
    assert tree_problems(tenant.pk) == []


def test_a_category_that_would_be_too_deep_stays_away(api, tenant, monkeypatch):
    top = CategoryFactory(tenant=tenant, external_id="top")
    for name in ("a", "b"):
        CategoryFactory(parent=top, external_id=name)
    CategoryFactory(parent=Category.objects.get(external_id="a"), external_id="below-a")
    api.delete("/category/acme/categories/top?withSubcategories=true")
    monkeypatch.setattr(tree, "MOST_LEVELS", 2)
    undone = undo(Change.objects.get(object="category", kind="deleted", external_id="top"))
    assert [one["object"]["id"] for one in undone.left_alone] == ["below-a"]
    assert "at most 2 levels" in reasons(undone)[0]
    assert set(Category.objects.values_list("external_id", "level")) == {("top", 1), ("a", 2), ("b", 2)}
    assert tree_problems(tenant.pk) == []


def test_a_moved_category_returns_unless_that_closes_a_cycle(api, tenant):
    one, two = (CategoryFactory(tenant=tenant, external_id=name) for name in ("one", "two"))
    api.patch("/category/acme/categories/two", {"parentId": "one"})
    moved = last("category", "updated")
    api.patch("/category/acme/categories/two", {"parentId": None})
    api.patch("/category/acme/categories/one", {"parentId": "two"})
    assert reasons(undo(moved)) == ["it was changed since"]
    back = Change.objects.filter(object="category", kind="updated", key=two.pk).order_by("-id").first()
    assert "two" in reasons(undo(back))[0]
    undo(last("category", "updated"))
    one.refresh_from_db()
    assert one.level == 1


def test_an_undo_leaves_other_tenants_alone(gold, other_tenant):
    with pytest.raises(ChangeNotFound):
        plan_undo(last("segment", "created").id, tenant_id=other_tenant.pk, at=timezone.now())


def test_the_command_says_what_it_took_back(api, tenant, gold):
    CustomerFactory(tenant=tenant, external_id="C1")
    api.put(f"{SEGMENTS}/gold/customers/C1", {})
    change = last("segment-customer", "created")
    out = StringIO()
    call_command("undo_change", str(change.id), "--dry-run", stdout=out)
    assert members(gold) == ["C1"]
    assert "would be" in out.getvalue()
    call_command("undo_change", str(change.id), stdout=out)
    assert members(gold) == []
    with pytest.raises(CommandError, match="There is no change 999999999"):
        call_command("undo_change", "999999999")


def test_a_dry_run_holds_locks_no_longer_than_a_write_waits(api, tenant, gold, monkeypatch):
    CustomerFactory(tenant=tenant, external_id="C1")
    api.put(f"{SEGMENTS}/gold/customers/C1", {})
    change = last("segment-customer", "created")
    monkeypatch.setattr(plans, "LONGEST_LOCK", 0.0)
    with pytest.raises(CommandError, match="Without --dry-run it is divided"):
        call_command("undo_change", str(change.id), "--dry-run", stdout=StringIO())
    assert members(gold) == ["C1"]


def test_what_holds_locks_for_too_long_is_not_tried_by_halves(db):
    tried = []

    def write(changes):
        tried.append(len(changes))
        raise LockedForTooLong("It took too long.")

    with pytest.raises(LockedForTooLong):
        by_halves([Change(id=number) for number in range(8)], write)
    assert tried == [8]


def test_the_command_goes_on_where_it_was_interrupted(api, tenant, gold, monkeypatch):
    monkeypatch.setattr(plans, "LARGEST_AT_ONCE", 2)
    numbers = [f"C{number}" for number in range(5)]
    for number in numbers:
        CustomerFactory(tenant=tenant, external_id=number)
        api.put(f"{SEGMENTS}/gold/customers/{number}", {})
    api.delete(f"{SEGMENTS}/gold?forceDelete=true")
    change = last("segment", "deleted")

    def interrupt(command, job):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(UndoCommand, "_report", interrupt)
        with pytest.raises(KeyboardInterrupt):
            call_command("undo_change", str(change.id))
    assert Job.objects.get().state == "running"
    out = StringIO()
    call_command("undo_change", str(change.id), "--json", stdout=out)
    document = json.loads(out.getvalue())
    assert (document["leftAloneCount"], document["takenBackCount"]) == (0, 6)
    assert members(Segment.objects.get(external_id="gold")) == numbers
    assert Job.objects.get().state == "done"
