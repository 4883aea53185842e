"""Members by rule are those whom the rule holds for: at first, after every change, and as time passes."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from accounts.models import Customer
from segments.models import CustomerAssignment, DueCustomer, Rule, RuleExclusion, Segment
from segments.rules import judging
from segments.rules.compiler import compile_rule
from segments.rules.evaluation import request_audits, scope_of
from segments.rules.movements import next_instants
from segments.rules.operations import turn_off_rule
from tests.factories.accounts import ContactAssignmentFactory, CustomerFactory, LegalEntityFactory
from tests.factories.coupons import CouponFactory, RedemptionFactory
from tests.factories.segments import CustomerAssignmentFactory
from tests.segments.rules import settling
from tests.segments.rules.settling import make_rule, settle

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)

pytestmark = pytest.mark.django_db


def customer(tenant, number: str, **fields) -> Customer:
    return CustomerFactory(tenant=tenant, external_id=number, **{"created_at": AT - 100 * DAY, **fields})


def members(segment_id: str = "ruled") -> dict[str, str]:
    rows = CustomerAssignment.objects.filter(segment__external_id=segment_id)
    return dict(
        rows.order_by("customer__external_id").values_list("customer__external_id", "assignment_type")
    )


def redeem(who: Customer, at: datetime, amount: int = 10, currency: str = "EUR", code: str = "SUMMER"):
    coupon = CouponFactory._meta.model.objects.filter(tenant=who.tenant, code=code).first()
    return RedemptionFactory(
        coupon=coupon or CouponFactory(tenant=who.tenant, code=code),
        customer=who,
        customer_number=who.external_id,
        discount_amount=Decimal(amount),
        discount_currency=currency,
        redeemed_at=at,
    )


def test_a_rule_makes_members_and_follows_changes(tenant):
    customer(tenant, "C1", is_on_hold=True)
    c2 = customer(tenant, "C2")

    rule = make_rule(tenant, "onHold:false", at=AT)

    assert members() == {"C2": "AUTOMATIC"}
    assert (rule.state, rule.members, rule.evaluated_at, rule.drift) == ("READY", 1, AT, 0)
    Customer.objects.filter(external_id="C1").update(is_on_hold=False)
    customer(tenant, "C3")
    c2.delete()
    settle(AT)
    assert members() == {"C1": "AUTOMATIC", "C3": "AUTOMATIC"}
    assert not DueCustomer.objects.exists()


def test_a_change_of_other_columns_is_nobodys_business(tenant):
    who = customer(tenant, "C1")
    make_rule(tenant, "onHold:false", at=AT)

    Customer.objects.filter(pk=who.pk).update(first_name="Jane", mixins={"a": 1})

    assert not DueCustomer.objects.exists()


def test_by_hand_beats_the_rule(tenant):
    c1, c2 = customer(tenant, "C1"), customer(tenant, "C2", is_on_hold=True)
    rule = make_rule(tenant, "onHold:false", at=AT)
    CustomerAssignmentFactory(segment=rule.segment, customer=c2)

    CustomerAssignment.objects.filter(customer=c1).delete()
    settle(AT)

    assert members() == {"C2": "MANUAL"}
    [excluded] = RuleExclusion.objects.all()
    assert (excluded.customer, excluded.segment) == (c1, rule.segment)
    excluded.delete()
    settle(AT)
    assert members() == {"C1": "AUTOMATIC", "C2": "MANUAL"}


def test_adding_by_hand_lifts_the_exclusion(tenant):
    c1 = customer(tenant, "C1")
    rule = make_rule(tenant, "onHold:false", at=AT)
    CustomerAssignment.objects.all().delete()

    CustomerAssignmentFactory(segment=rule.segment, customer=c1)
    settle(AT)

    assert members() == {"C1": "MANUAL"}
    assert not RuleExclusion.objects.exists()


@pytest.mark.parametrize(("keeps", "left"), [(True, {"C1": "MANUAL"}), (False, {})])
def test_turning_a_rule_off_keeps_or_removes_its_members(tenant, keeps, left):
    customer(tenant, "C1")
    make_rule(tenant, "onHold:false", at=AT)

    turn_off_rule(tenant_id=tenant.pk, segment_id="ruled", keeps_members=keeps, at=AT)

    assert members() == left
    assert not RuleExclusion.objects.exists()


def test_behaviour_within_a_window_ends_with_time(tenant):
    c1, c2 = customer(tenant, "C1"), customer(tenant, "C2")
    redeem(c1, AT - 89 * DAY)
    redeem(c1, AT - 10 * DAY)
    redeem(c2, AT - 91 * DAY)
    redeem(c2, AT - 10 * DAY)

    rule = make_rule(tenant, "redemptions.90d.count:>=2", at=AT)

    assert members() == {"C1": "AUTOMATIC"}
    assert AT + DAY < rule.next_due_at < AT + DAY + timedelta(milliseconds=3)
    settle(AT + DAY)
    assert members() == {"C1": "AUTOMATIC"}
    settle(AT + DAY + timedelta(seconds=1))
    assert members() == {}
    redeem(c2, AT)
    settle(AT + DAY + timedelta(seconds=2))
    assert members() == {"C2": "AUTOMATIC"}


def test_new_customers_are_new_for_thirty_days(tenant):
    make_rule(tenant, "metadata.createdAt:>now-30d", at=AT)
    assert Rule.objects.get().next_due_at is None

    customer(tenant, "C1", created_at=AT)
    settle(AT)

    assert members() == {"C1": "AUTOMATIC"}
    settle(AT + 29 * DAY)
    assert members() == {"C1": "AUTOMATIC"}
    settle(AT + 31 * DAY)
    assert members() == {}
    assert Rule.objects.get().next_due_at is None


def test_a_date_in_a_mixin_passes(tenant):
    customer(tenant, "C1", mixins={"card": {"until": "2026-05-03"}})
    customer(tenant, "C2", mixins={"card": {"until": "2026-04-03T10:00:00.000Z"}})
    customer(tenant, "C3", mixins={"card": {"until": "someday"}})

    make_rule(tenant, "mixins.card.until:>now", at=AT)

    assert members() == {"C1": "AUTOMATIC"}
    settle(AT + 3 * DAY)
    assert members() == {}


@pytest.mark.parametrize(("milliseconds", "late"), [(0, 0), (100, 5), (2_000, 60), (None, 60)])
def test_an_instant_in_a_mixin_passes_on_time_where_evaluations_are_quick(tenant, milliseconds, late):
    customer(tenant, "C1", mixins={"card": {"until": "2026-05-01T12:00:01.000Z"}})
    rule = make_rule(tenant, "mixins.card.until:>now", at=AT)
    scope = scope_of(rule, AT)
    movements = compile_rule(rule.q, scope, rule.mode).movements
    [instant] = next_instants(movements, scope, milliseconds=milliseconds).values()
    assert abs(instant - (AT + max(timedelta(seconds=late), timedelta(seconds=1)))) < timedelta(
        milliseconds=5
    )


def test_contacts_of_companies_are_members_for_them(tenant):
    company = LegalEntityFactory(tenant=tenant, external_id="L1", type="COMPANY")
    other = LegalEntityFactory(tenant=tenant, external_id="L2", type="SUBSIDIARY")
    c1, c2 = customer(tenant, "C1"), customer(tenant, "C2")
    contact = ContactAssignmentFactory(legal_entity=company, customer=c1)
    ContactAssignmentFactory(legal_entity=other, customer=c1)

    make_rule(tenant, "type:COMPANY", at=AT, membership="LEGAL_ENTITY")
    ContactAssignmentFactory(legal_entity=company, customer=c2)
    settle(AT)

    rows = CustomerAssignment.objects.values_list("customer__external_id", "legal_entity__external_id")
    assert sorted(rows) == [("C1", "L1"), ("C2", "L1")]
    other.type = "COMPANY"
    other.save()
    contact.delete()
    settle(AT)
    assert sorted(rows.all()) == [("C1", "L2"), ("C2", "L1")]


def test_rules_follow_the_members_of_other_segments(tenant):
    c1 = customer(tenant, "C1")
    customer(tenant, "C2")
    make_rule(tenant, "redemptions.count:>0", at=AT, segment_id="a")
    make_rule(tenant, "segments:(a)", at=AT, segment_id="b")

    redeem(c1, AT)
    settle(AT)

    assert members("a") == members("b") == {"C1": "AUTOMATIC"}
    Segment.objects.filter(external_id="a").delete()
    settle(AT)
    assert members("b") == {}


def test_the_first_by_rank_are_taken_once(tenant):
    everybody = [customer(tenant, f"C{number:02}") for number in range(20)]
    for number, who in enumerate(everybody[:15]):
        redeem(who, AT - DAY, amount=100 - number // 2)
    redeem(everybody[19], AT - DAY, amount=1_000, currency="USD")

    make_rule(tenant, "redemptions.365d.total:top(20%)", at=AT, mode="SNAPSHOT")

    assert list(members()) == ["C00", "C01", "C02"]
    redeem(everybody[18], AT, amount=5_000)
    settle(AT)
    assert list(members()) == ["C00", "C01", "C02"]


def test_segments_that_are_inactive_or_over_wait(tenant):
    customer(tenant, "C1")
    rule = make_rule(tenant, "onHold:false", at=AT)
    Segment.objects.update(status="INACTIVE")
    customer(tenant, "C2")
    settle(AT)
    assert list(members()) == ["C1"]

    Segment.objects.filter(pk=rule.segment_id).update(status="ACTIVE")
    settle(datetime.now(UTC) + DAY)

    assert list(members()) == ["C1", "C2"]


def test_many_changes_are_judged_by_whole_evaluations(tenant, monkeypatch):
    rule = make_rule(tenant, "onHold:false", at=AT)
    monkeypatch.setattr(judging, "DUE_WITHOUT_LIMIT", 2)
    for number in range(3):
        customer(tenant, f"C{number}")

    assert judging.judge_due_customers(AT)

    assert not DueCustomer.objects.exists()
    asked = Rule.objects.get()
    assert (asked.state, asked.evaluation > rule.evaluation) == ("PENDING", True)
    for number in range(3, 6):
        customer(tenant, f"C{number}")
    assert judging.judge_due_customers(AT)
    assert Rule.objects.get().evaluation == asked.evaluation  # it has not begun, so it will do
    settle(AT)
    assert list(members()) == [f"C{number}" for number in range(6)]


def test_a_difference_that_no_change_explains_is_drift(tenant):
    customer(tenant, "C1")
    make_rule(tenant, "onHold:false", at=AT)
    DueCustomer.objects.all().delete()
    customer(tenant, "C2")
    DueCustomer.objects.all().delete()  # as if a trigger had not fired
    customer(tenant, "C3")

    request_audits(AT + 2 * DAY)
    settle(AT + 2 * DAY)

    assert list(members()) == ["C1", "C2", "C3"]
    assert Rule.objects.get().drift == 1


def test_a_redemption_that_is_still_to_be_noted_is_no_drift(tenant, monkeypatch):
    c1 = customer(tenant, "C1")
    make_rule(tenant, "redemptions.count:>0", at=AT)
    redeem(c1, AT - 10 * DAY)
    with monkeypatch.context() as nothing_settles:
        nothing_settles.setattr(settling, "settle_all", lambda: None)
        request_audits(AT + 2 * DAY)
        settle(AT + 2 * DAY)

    assert list(members()) == ["C1"]
    assert Rule.objects.get().drift == 0
    settle(AT + 2 * DAY)
    assert not DueCustomer.objects.exists()
