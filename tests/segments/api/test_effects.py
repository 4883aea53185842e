"""What changes would do, before anybody makes them."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from accounts.identity.scopes import COUPON_READ, SEGMENT_MANAGE, SEGMENT_READ
from accounts.models import Customer, LegalEntity, Site
from core.sql.composition import Sql, sql
from core.sql.time_limits import fetch_within
from segments.counting import MOST_COUNTED, counted
from segments.models import Segment
from tests.conftest import Api
from tests.factories.accounts import CustomerFactory, SiteFactory
from tests.factories.catalog import CategoryAssignmentFactory, CategoryFactory, ProductFactory
from tests.factories.coupons import (
    CouponCategoryFactory,
    CouponFactory,
    CouponSegmentFactory,
    RedemptionFactory,
)
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory

SEGMENTS = "/customer-segment/acme/segments"
SEGMENT_EFFECTS = "/customer-segment/acme/segment-effects"
CATEGORY_EFFECTS = "/customer-segment/acme/category-effects"
DAY = timedelta(days=1)


def values(part: dict[str, dict[str, object]]) -> dict[str, object]:
    assert all(count["exact"] for count in part.values())
    return {name: count["value"] for name, count in part.items()}


def effects(api: Api, segment_id: str, **body: object) -> dict:
    answer = api.post(f"{SEGMENTS}/{segment_id}/effects", body)
    assert answer.status_code == 200, answer.content
    return answer.json()


@pytest.fixture
def shop(site: Site) -> dict[str, object]:
    """Three members of gold, one of whom is in silver too; gold shows coffee with all below it."""
    gold, silver = (SegmentFactory(site=site, external_id=name) for name in ("gold", "silver"))
    tenant = site.tenant
    members = [CustomerFactory(tenant=tenant) for _ in range(3)]
    for customer in members:
        CustomerAssignmentFactory(segment=gold, customer=customer)
    CustomerAssignmentFactory(segment=silver, customer=members[0])
    coffee = CategoryFactory(tenant=tenant, external_id="coffee")
    ground = CategoryFactory(parent=coffee, external_id="ground")
    CategoryFactory(parent=coffee, external_id="hidden", is_published=False)
    ItemAssignmentFactory(segment=gold, product=None, category=coffee, includes_subcategories=True)
    ItemAssignmentFactory(segment=silver, product=None, category=ground)
    ItemAssignmentFactory(segment=gold)
    return {"gold": gold, "silver": silver, "members": members, "coffee": coffee, "ground": ground}


def test_a_deletion_names_who_loses_what(coupon_reader, shop, now):
    only_gold, both = (CouponFactory(tenant=shop["gold"].tenant, is_segment_restricted=True) for _ in "ab")
    for coupon in (only_gold, both):
        CouponSegmentFactory(coupon=coupon, segment=shop["gold"])
    CouponSegmentFactory(coupon=both, segment=shop["silver"])
    RedemptionFactory(coupon=only_gold, redeemed_at=now - DAY)
    RedemptionFactory(coupon=only_gold, redeemed_at=now - 31 * DAY)
    found = effects(coupon_reader, "gold", change="DELETE")
    assert (found["makesDifference"], found["versions"]) == (True, {"gold": 1})
    assert values(found["members"]) == {
        "total": 3,
        "losing": 3,
        "keepingAnother": 1,
        "losingAll": 2,
        "gaining": 0,
    }
    # coffee disappears for all three; ground stays for the one whom silver shows it
    assert values(found["items"]) == {
        "products": 1,
        "categories": 1,
        "disappearingCategories": 2,
        "affectedCustomers": 3,
    }
    coupons = found["dependents"]["coupon"]
    assert coupons.pop("ids") == [only_gold.code]
    assert values(coupons) == {"stopping": 1, "starting": 0, "usedLately": 1}
    assert Segment.objects.filter(external_id="gold").exists()


def test_coupons_are_shown_with_their_scope_only(service_api, shop):
    assert "dependents" not in effects(service_api(SEGMENT_READ), "gold", change="DELETE")


def test_the_first_instant_that_differs_is_looked_at(coupon_reader, shop, now):
    Segment.objects.filter(external_id="gold").update(valid_from=now + DAY, valid_to=now + 10 * DAY)
    found = effects(coupon_reader, "gold", change="DELETE")
    assert found["asOf"] == (now + DAY).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert found["members"]["losing"]["value"] == 3
    window = {"from": (now + DAY).isoformat(), "to": (now + 5 * DAY).isoformat()}
    shorter = effects(coupon_reader, "gold", change="UPDATE", validity=window)
    assert shorter["asOf"].startswith((now + 5 * DAY).isoformat(timespec="seconds")[:19])
    assert shorter["members"]["losing"]["value"] == 3
    earlier = effects(coupon_reader, "gold", change="UPDATE", validity={})
    assert (earlier["members"]["gaining"]["value"], earlier["members"]["losing"]["value"]) == (3, 0)


def test_a_window_may_last_until_the_end_of_time(coupon_reader, shop):
    last = datetime.max.replace(tzinfo=UTC)
    Segment.objects.filter(external_id="gold").update(valid_to=last)
    assert effects(coupon_reader, "gold", change="DELETE")["members"]["losing"]["value"] == 3
    found = effects(coupon_reader, "silver", change="UPDATE", validity={"to": last.isoformat()})
    assert found["makesDifference"] is False


def test_what_is_over_or_inactive_is_missed_by_nobody(coupon_reader, shop, now):
    Segment.objects.filter(external_id="gold").update(valid_to=now - DAY)
    Segment.objects.filter(external_id="silver").update(status="INACTIVE")
    for name in ("gold", "silver"):
        found = effects(coupon_reader, name, change="DELETE")
        assert found["makesDifference"] is False
        assert found["members"]["losing"]["value"] == 0
    assert effects(coupon_reader, "silver", change="ACTIVATE")["members"]["gaining"]["value"] == 1


def test_another_site_is_lost_here_and_gained_there(coupon_reader, shop, site):
    SiteFactory(tenant=site.tenant, code="outlet")
    found = effects(coupon_reader, "gold", change="UPDATE", siteCode="outlet")
    assert (found["members"]["losing"]["value"], found["members"]["gaining"]["value"]) == (3, 3)
    unknown = coupon_reader.post(f"{SEGMENTS}/gold/effects", {"change": "UPDATE", "siteCode": "moon"})
    assert (unknown.status_code, unknown.json()["details"]["field"]) == (400, "siteCode")


@pytest.mark.parametrize(
    "body", [None, {}, {"change": "EXPLODE"}, {"change": "UPDATE"}, {"change": "DELETE", "status": "ACTIVE"}]
)
def test_a_change_that_says_too_little_or_too_much_is_refused(coupon_reader, shop, body):
    assert coupon_reader.post(f"{SEGMENTS}/gold/effects", body).status_code == 400
    assert coupon_reader.post(f"{SEGMENTS}/nothing/effects", {"change": "DELETE"}).status_code == 404


def test_a_business_membership_is_kept_by_what_counts_beside_it(
    coupon_reader: Api, gold: Segment, customer: Customer, company: LegalEntity
) -> None:
    """When acting for the company both kinds count; without it only what no other B2C one shows is lost."""
    silver = SegmentFactory(site=gold.site, external_id="silver")
    CustomerAssignmentFactory(segment=gold, customer=customer, legal_entity=company)
    CustomerAssignmentFactory(segment=silver, customer=customer)
    for name, losing_all in (("gold", 0), ("silver", 1)):
        found = effects(coupon_reader, name, change="DEACTIVATE")
        assert found["members"]["losingAll"]["value"] == losing_all


def test_effects_take_a_bounded_number_of_statements(coupon_reader, shop, django_assert_num_queries):
    for customer in CustomerFactory.create_batch(5, tenant=shop["gold"].tenant):
        CustomerAssignmentFactory(segment=shop["gold"], customer=customer)
    with django_assert_num_queries(9):  # the segment, coupons; members and losses with their time limits
        effects(coupon_reader, "gold", change="DELETE")


def test_an_unforced_deletion_says_what_it_would_do(service_api, shop):
    CouponSegmentFactory(
        coupon=CouponFactory(tenant=shop["gold"].tenant, is_segment_restricted=True), segment=shop["gold"]
    )
    answer = service_api(SEGMENT_MANAGE, COUPON_READ).delete(f"{SEGMENTS}/gold")
    assert answer.status_code == 400
    assert answer.json()["details"]["moreInfo"] == (
        "Customers who would lose the segment: 3 (2 of them would see nothing special any more)."
        " Categories that would disappear: 2 (for 3 customers). Coupons that would stop working: 1."
    )


def test_segments_are_looked_at_together(reader, shop):
    body = {"segmentIds": ["gold", "silver", "gold"], "change": "DEACTIVATE"}
    answer = reader.post(SEGMENT_EFFECTS, body)
    assert answer.status_code == 200, answer.content
    found = answer.json()
    assert found["versions"] == {"gold": 1, "silver": 1}
    assert values(found["members"]) == {
        "total": 4,
        "losing": 3,
        "keepingAnother": 0,
        "losingAll": 3,
        "gaining": 0,
    }
    missing = reader.post(SEGMENT_EFFECTS, {"segmentIds": ["gold", "none"], "change": "DELETE"})
    assert (missing.status_code, missing.json()["resourceId"]) == (404, "none")
    assert Segment.objects.filter(status="ACTIVE").count() == 2


@pytest.mark.parametrize("ids", [None, [], ["gold"] * 201], ids=["none", "empty", "many"])
def test_a_change_of_several_segments_names_1_to_200(reader, shop, ids):
    answer = reader.post(
        SEGMENT_EFFECTS, {"change": "DELETE", **({} if ids is None else {"segmentIds": ids})}
    )
    assert answer.status_code == 400
    assert "segmentIds" in answer.json()["message"]


def test_an_unforced_bulk_deletion_says_what_it_would_do_together(service_api, shop):
    SegmentFactory(site=shop["gold"].site, external_id="empty")
    ids = ["gold", "empty", "silver", "gone"]
    entries = service_api(SEGMENT_MANAGE).delete(f"{SEGMENTS}/bulk", ids).json()
    assert [entry["code"] for entry in entries] == [400, 204, 400, 204]
    said = {entry["id"]: entry["details"]["moreInfo"] for entry in entries if entry["code"] == 400}
    assert said == dict.fromkeys(
        ("gold", "silver"),
        "Customers who would lose one of the 2 segments: 3 (3 of them would see nothing special any more)."
        " Categories that would disappear: 2 (for 3 customers).",
    )


def test_a_count_that_takes_too_long_is_at_least_what_was_counted(db):
    def slow(limit: Sql) -> Sql:
        rows = Sql("SELECT generate_series(1, 20000)")
        wait = Sql("pg_sleep(3)") if not limit.sql else Sql("1")
        return sql(
            "SELECT count(*) FROM ({rows}{limit}) AS found CROSS JOIN (SELECT {wait}) AS waited",
            rows=rows,
            limit=limit,
            wait=wait,
        )

    [count] = counted(slow, 1)
    assert (count.value, count.exact, str(count)) == (MOST_COUNTED, False, "at least 10,000")
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('statement_timeout')")
        before = cursor.fetchone()
        assert fetch_within(Sql("SELECT pg_sleep(1)"), milliseconds=20) is None
        assert fetch_within(Sql("SELECT 1"), milliseconds=60_000) == [(1,)]
        cursor.execute("SELECT current_setting('statement_timeout')")
        assert cursor.fetchone() == before


# Categories


def category_effects(api: Api, **body: object) -> dict:
    answer = api.post(CATEGORY_EFFECTS, body)
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_an_unpublished_category_takes_all_below_along(coupon_reader, shop):
    CategoryAssignmentFactory(category=shop["ground"], product=ProductFactory(tenant=shop["gold"].tenant))
    coupon = CouponFactory(tenant=shop["gold"].tenant, is_category_restricted=True)
    CouponCategoryFactory(coupon=coupon, category=shop["ground"])
    found = category_effects(coupon_reader, categoryId="coffee", change="UNPUBLISH")
    counts = {name: found[name]["value"] for name in ("categories", "hiding", "showing", "products")}
    assert counts == {"categories": 3, "hiding": 2, "showing": 0, "products": 1}
    assert (found["losingSegments"], found["gainingSegments"]) == (["gold", "silver"], [])
    assert found["losingMembers"] == {"value": 3, "exact": True}
    assert found["dependents"]["coupon"]["ids"] == [coupon.code]
    assert category_effects(coupon_reader, categoryId="hidden", change="UNPUBLISH")["hiding"]["value"] == 0


def test_a_published_category_begins_to_be_seen(coupon_reader, shop):
    found = category_effects(coupon_reader, categoryId="hidden", change="PUBLISH")
    assert (found["showing"]["value"], found["gainingSegments"]) == (1, ["gold"])


def test_a_moved_category_loses_what_it_inherited(coupon_reader, shop):
    tea = CategoryFactory(tenant=shop["gold"].tenant, external_id="tea")
    ItemAssignmentFactory(segment=shop["silver"], product=None, category=tea, includes_subcategories=True)
    CategoryFactory(parent=shop["coffee"], external_id="beans")
    found = category_effects(coupon_reader, categoryId="beans", change="MOVE", parentId="tea")
    assert (found["losingSegments"], found["gainingSegments"]) == (["gold"], ["silver"])
    assert (found["losingMembers"]["value"], found["gainingMembers"]["value"]) == (3, 1)
    below_hidden = category_effects(coupon_reader, categoryId="beans", change="MOVE", parentId="hidden")
    assert (below_hidden["hiding"]["value"], below_hidden["gainingSegments"]) == (1, [])
    assert category_effects(coupon_reader, categoryId="beans", change="MOVE")["losingSegments"] == ["gold"]
    cycle = coupon_reader.post(
        CATEGORY_EFFECTS, {"categoryId": "coffee", "change": "MOVE", "parentId": "ground"}
    )
    assert cycle.status_code == 400
    assert coupon_reader.post(CATEGORY_EFFECTS, {"categoryId": "x", "change": "PUBLISH"}).status_code == 404


def test_a_deleted_category_lifts_those_below_or_takes_them_along(coupon_reader, shop):
    found = category_effects(coupon_reader, categoryId="coffee", change="DELETE", withSubcategories=True)
    assert (found["hiding"]["value"], found["losingSegments"]) == (2, ["gold", "silver"])
    found = category_effects(coupon_reader, categoryId="coffee", change="DELETE")
    assert (found["hiding"]["value"], found["losingSegments"]) == (1, ["gold"])
    wrong = coupon_reader.post(
        CATEGORY_EFFECTS, {"categoryId": "coffee", "change": "MOVE", "withSubcategories": True}
    )
    assert wrong.status_code == 400
    assert "withSubcategories" in wrong.json()["message"]


def test_a_move_says_what_is_lost_although_a_part_is_kept(coupon_reader, shop):
    """Silver is assigned a category below the one that moves, and keeps only that."""
    beans = CategoryFactory(parent=shop["coffee"], external_id="beans")
    espresso = CategoryFactory(parent=beans, external_id="espresso")
    silver = shop["silver"]
    ItemAssignmentFactory(segment=silver, product=None, category=shop["coffee"], includes_subcategories=True)
    ItemAssignmentFactory(segment=silver, product=None, category=espresso)
    found = category_effects(coupon_reader, categoryId="beans", change="MOVE")
    assert found["losingSegments"] == ["gold", "silver"]
    ItemAssignmentFactory(segment=silver, product=None, category=beans)
    assert category_effects(coupon_reader, categoryId="beans", change="MOVE")["losingSegments"] == ["gold"]
