"""Members by the demo shop's rules, against the raw files as DuckDB reads them."""

from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from config.demo.people import COMPANIES
from coupons.models import Redemption
from segments.models import CustomerAssignment, Rule
from segments.rules.previews import PreviewBody, preview_rule
from tests.config.demo.test_visits import TODAY, files  # noqa: F401 -- a fixture
from tests.segments.rules.settling import settle

NOW = f"timestamp '{TODAY} 09:30'"
REDEEMED = "(redemption_date::date + interval 12 hour)"


@pytest.fixture
def ruled(shop):
    settle(shop.at)
    return shop


def members(shop, segment):
    """Return the members by rule, each as customer and company."""
    return sorted(
        CustomerAssignment.objects.filter(
            tenant=shop.tenant, segment__external_id=segment, assignment_type="AUTOMATIC"
        ).values_list("customer__external_id", "legal_entity__external_id"),
        key=str,
    )


def households(files, statement):  # noqa: F811
    return sorted(((str(number), None) for number, *_ in files.execute(statement).fetchall()), key=str)


def test_all_rules_are_evaluated(ruled):
    rules = Rule.objects.filter(tenant=ruled.tenant)
    assert dict(rules.values_list("segment__external_id", "state")) == {
        "coupon-regulars": "READY",
        "families-50-74k": "READY",
        "new-customers": "READY",
        "in-good-standing": "READY",
        "company-buyers": "READY",
        "best-savers": "READY",
    }
    for rule in rules.select_related("segment"):
        assert rule.members == len(members(ruled, rule.segment.external_id)) > 0


def test_coupon_regulars_redeemed_twice_in_90_days(ruled, files):  # noqa: F811
    expected = households(
        files,
        f"SELECT household_id FROM coupon_redemptions WHERE {REDEEMED} > {NOW} - interval 90 day"  # noqa: S608
        f" AND {REDEEMED} <= {NOW} GROUP BY 1 HAVING count(*) >= 2",
    )
    assert members(ruled, "coupon-regulars") == expected
    assert 100 < len(expected) < 250


def test_families_have_kids_and_an_income_of_50_to_74_thousand(ruled, files):  # noqa: F811
    expected = households(
        files, "SELECT household_id FROM demographics WHERE income = '50-74K' AND kids_count <> '0'"
    )
    assert members(ruled, "families-50-74k") == expected
    assert len(expected) == 57


def test_new_customers_bought_first_within_30_days(ruled, files):  # noqa: F811
    expected = households(
        files,
        "SELECT household_id FROM transactions GROUP BY 1"  # noqa: S608
        f" HAVING least(min(transaction_timestamp)::date, date '{TODAY}') >= {NOW} - interval 30 day",
    )
    assert members(ruled, "new-customers") == expected
    assert len(expected) > 10


def test_in_good_standing_is_whoever_bought_within_half_a_year(ruled, files):  # noqa: F811
    expected = households(
        files,
        "SELECT household_id FROM transactions GROUP BY 1"  # noqa: S608
        f" HAVING max(transaction_timestamp::date) FILTER (transaction_timestamp::date <= '{TODAY}')"
        f" >= date '{TODAY}' - 180"
        f" OR min(transaction_timestamp::date) > date '{TODAY}'",
    )
    assert members(ruled, "in-good-standing") == expected
    assert len(expected) == 2_469 - 42


def test_company_buyers_are_all_contacts(ruled):
    found = members(ruled, "company-buyers")
    assert Counter(company for _, company in found) == {company.external_id: 9 for company in COMPANIES}


def test_best_savers_have_the_largest_discounts_of_the_year(ruled):
    """What each redemption granted is compared with the files in test_visits.py."""
    totals: Counter = Counter()
    for redemption in Redemption.objects.filter(tenant=ruled.tenant).select_related("customer"):
        if ruled.at - timedelta(days=365) < redemption.redeemed_at <= ruled.at:
            totals[redemption.customer.pk, redemption.customer.external_id] += redemption.discount_amount
    ranked = sorted((-total, key, number) for (key, number), total in totals.items() if total)
    best = ranked[: -(-len(ranked) // 10)]
    assert members(ruled, "best-savers") == sorted(((number, None) for *_, number in best), key=str)


def test_a_second_load_keeps_rules_and_members(ruled):
    before = {segment: members(ruled, segment) for segment in ("coupon-regulars", "best-savers")}
    again = ruled.load_again(at=ruled.at + timedelta(hours=1))
    assert not again.has_changed
    settle(ruled.at)
    assert {segment: members(ruled, segment) for segment in before} == before


def test_the_next_day_members_follow_the_calendar(ruled, files):  # noqa: F811
    """All days move along, so whoever belongs stays; only the time of day counts."""
    before = members(ruled, "new-customers")
    later = ruled.at + timedelta(days=1)
    ruled.load_again(at=later)
    settle(later)
    assert members(ruled, "new-customers") == before


def rules_of_page():
    """Yield what docs/rules.md says of each rule: who, the rule, its mode and membership, and the number."""
    page = (Path(__file__).parents[3] / "docs" / "rules.md").read_text()
    table = page.partition("\n## Rules that shops want\n")[2].partition("\n## ")[0]
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if len(cells) == 3 and cells[1].startswith("`"):
            mode = "SNAPSHOT" if "`SNAPSHOT`" in cells[0] else "LIVE"
            membership = "LEGAL_ENTITY" if "`LEGAL_ENTITY`" in cells[0] else "CUSTOMER"
            yield cells[0], cells[1].strip("`"), mode, membership, int(cells[2].strip("| ").replace(",", ""))


def test_the_rules_of_the_page_find_as_many_as_it_says(shop):
    listed = list(rules_of_page())
    assert len(listed) >= 20
    found = {
        q: preview_rule(
            tenant=shop.tenant, body=PreviewBody(q=q, mode=mode, membership=membership), at=shop.at
        )
        for _, q, mode, membership, _ in listed
    }
    assert {q: preview.fault for q, preview in found.items() if preview.fault} == {}
    assert {q: preview.count for q, preview in found.items()} == {q: number for _, q, _, _, number in listed}
