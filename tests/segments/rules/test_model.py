"""Members by rule equal what an oracle in Python says, for generated customers and rules, after any writes.

The oracle reads plain dictionaries and knows the rules as trees; it shares no code with the compiler. Writes
go to both; time moves on; people add and remove members by hand; workers are cut off between two slices.
After each step, and once nothing is due, the members that followed the changes equal the oracle's, and a
whole evaluation finds nothing to do.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import ContactAssignment, Customer, LegalEntity, Site
from core.background.worker import run_slice
from core.json_types import JsonObject
from core.tenancy.models import Tenant
from coupons.models import Redemption
from segments.bodies import CustomerAssignmentBody, Member
from segments.models import CustomerAssignment, Rule, RuleExclusion
from segments.operations.customers import delete_customer_assignment, upsert_customer_assignment
from segments.rules.evaluation import request_audits
from segments.rules.operations import ask_for_evaluation, lift_exclusion, save_rule
from tests.factories.accounts import ContactAssignmentFactory, CustomerFactory, LegalEntityFactory
from tests.factories.coupons import CouponFactory, RedemptionFactory
from tests.factories.segments import SegmentFactory
from tests.segments.rules.settling import open_jobs, settle, settle_once

BERLIN = ZoneInfo("Europe/Berlin")
BEGINNINGS = [  # the latter two are the evenings before the clocks change there
    datetime(2026, 5, 1, 12, tzinfo=UTC),
    datetime(2026, 3, 28, 20, 30, tzinfo=UTC),
    datetime(2026, 10, 24, 20, 30, tzinfo=UTC),
]
DAY = timedelta(days=1)
CUSTOMERS = [f"C{number}" for number in range(6)]
COMPANIES = ["L0", "L1"]
SEGMENTS = ["live", "second", "companies"]

pytestmark = pytest.mark.django_db


@dataclass
class Person:
    """What the oracle knows of a customer."""

    created_at: datetime
    is_on_hold: bool = False
    kids: int | None = None
    city: str | None = None
    since: str | int | None = None
    last_login: datetime | None = None
    redemptions: list[tuple[datetime, int, str, str]] = field(default_factory=list)
    companies: set[str] = field(default_factory=set)


@dataclass
class World:
    """The oracle: people, companies, and what was done by hand in each segment."""

    people: dict[str, Person] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    manual: dict[str, set[tuple[str, str | None]]] = field(default_factory=dict)
    excluded: dict[str, set[tuple[str, str | None]]] = field(default_factory=dict)
    rules: JsonObject = field(default_factory=dict)

    def members(self, segment: str, at: datetime) -> dict[tuple[str, str | None], str]:
        """Return the members of a segment: who belongs by hand, and who by its rule."""
        found = dict.fromkeys(self.by_rule(segment, at) - self.excluded[segment], "AUTOMATIC")
        return found | dict.fromkeys(self.manual[segment], "MANUAL")

    def by_rule(self, segment: str, at: datetime) -> set[tuple[str, str | None]]:
        tree = self.rules[segment]
        if segment == "companies":
            return {
                (name, company)
                for name, person in self.people.items()
                for company in person.companies
                if self.types[company] == tree
            }
        return {(name, None) for name, person in self.people.items() if self.holds(tree, name, person, at)}

    def holds(self, tree: tuple[object, ...], name: str, person: Person, at: datetime) -> bool:
        match tree:
            case ("and", parts):
                return all(self.holds(part, name, person, at) for part in parts)
            case ("or", parts):
                return any(self.holds(part, name, person, at) for part in parts)
            case ("not", part):
                return not self.holds(part, name, person, at)
            case ("term", _, test):
                return test(self, name, person, at)
        raise AssertionError(tree)


Test = Callable[[World, str, Person, datetime], bool]
ORDER: dict[str, Callable[[Any, Any], bool]] = {
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
}


def within(person: Person, days: int | None, at: datetime) -> list[tuple[datetime, int, str, str]]:
    return [one for one in person.redemptions if days is None or one[0] > at - days * DAY]


def on_hold(value: bool) -> tuple[object, ...]:
    return "term", f"onHold:{str(value).lower()}", lambda world, name, person, at: person.is_on_hold is value


def kids(operator: str, number: int) -> tuple[object, ...]:
    def test(world: World, name: str, person: Person, at: datetime) -> bool:
        return person.kids is not None and ORDER[operator](person.kids, number)

    return "term", f"mixins.home.kids:{operator}{number}", test


def city(names: list[str]) -> tuple[object, ...]:
    return (
        "term",
        f"mixins.home.city:({','.join(names)})",
        lambda world, name, person, at: person.city in names,
    )


def no_city() -> tuple[object, ...]:
    return "term", "mixins.home.city:missing", lambda world, name, person, at: person.city is None


def created(operator: str, days: int) -> tuple[object, ...]:
    def test(world: World, name: str, person: Person, at: datetime) -> bool:
        return ORDER[operator](person.created_at, at - days * DAY)

    return "term", f"metadata.createdAt:{operator}now-{days}d", test


def created_on(operator: str, days: int) -> tuple[object, ...]:
    def test(world: World, name: str, person: Person, at: datetime) -> bool:
        day = at.astimezone(BERLIN).date() - days * DAY
        return ORDER[operator](person.created_at, datetime(day.year, day.month, day.day, tzinfo=BERLIN))

    return "term", f"metadata.createdAt:{operator}today-{days}d", test


def logged_in(operator: str, days: int) -> tuple[object, ...]:
    def test(world: World, name: str, person: Person, at: datetime) -> bool:
        return person.last_login is not None and ORDER[operator](person.last_login, at - days * DAY)

    return "term", f"lastLogin:{operator}now-{days}d", test


def never_logged_in() -> tuple[object, ...]:
    return "term", "lastLogin:missing", lambda world, name, person, at: person.last_login is None


def some_kids(least: int, below: int) -> tuple[object, ...]:
    """A window that is closed at its beginning and open at its end."""

    def test(world: World, name: str, person: Person, at: datetime) -> bool:
        return person.kids is not None and least <= person.kids < below

    return "term", f"mixins.home.kids:(>={least} AND <{below})", test


def lives_there_since(operator: str, days: int) -> tuple[object, ...]:
    """A day, or a day and time, as text among own attributes; other values are no instants."""

    def test(world: World, name: str, person: Person, at: datetime) -> bool:
        if not isinstance(person.since, str) or not re.fullmatch(r"\d{4}-\d\d-\d\d(T.*)?", person.since):
            return False
        moment = (at - days * DAY).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return ORDER[operator](person.since, moment)

    return "term", f"mixins.home.since:{operator}now-{days}d", test


def counted(days: int | None, operator: str, number: int) -> tuple[object, ...]:
    window = f"{days}d." if days else ""

    def test(world: World, name: str, person: Person, at: datetime) -> bool:
        return ORDER[operator](len(within(person, days, at)), number)

    return "term", f"redemptions.{window}count:{operator}{number}", test


def total(days: int | None, operator: str, number: int) -> tuple[object, ...]:
    window = f"{days}d." if days else ""

    def test(world: World, name: str, person: Person, at: datetime) -> bool:
        amount = sum(amount for _, amount, currency, _ in within(person, days, at) if currency == "EUR")
        return ORDER[operator](amount, number)

    return "term", f"redemptions.{window}total:{operator}{number}", test


def last(operator: str, days: int) -> tuple[object, ...]:
    def test(world: World, name: str, person: Person, at: datetime) -> bool:
        times = [one for one, *_ in person.redemptions]
        return bool(times) and ORDER[operator](max(times), at - days * DAY)

    return "term", f"redemptions.lastAt:{operator}now-{days}d", test


def used(code: str) -> tuple[object, ...]:
    def test(world: World, name: str, person: Person, at: datetime) -> bool:
        return any(code == other for *_, other in person.redemptions)

    return "term", f"redemptions.codes:{code}", test


def of_company(kind: str) -> tuple[object, ...]:
    def test(world: World, name: str, person: Person, at: datetime) -> bool:
        return any(world.types[company] == kind for company in person.companies)

    return "term", f"legalEntities.type:{kind}", test


def in_live() -> tuple[object, ...]:
    def test(world: World, name: str, person: Person, at: datetime) -> bool:
        return (name, None) in world.members("live", at)

    return "term", "segments:live", test


def ranked(fact: str, days: int | None, number: int, percent: str) -> tuple[object, ...]:
    """The first by their redemptions, of those who have any; of equal ones whoever came first."""
    window = f"{days}d." if days else ""

    def value(person: Person, at: datetime) -> int:
        found = within(person, days, at)
        if fact == "count":
            return len(found)
        return sum(amount for _, amount, currency, _ in found if currency == "EUR")

    def test(world: World, name: str, person: Person, at: datetime) -> bool:
        values = {one: value(other, at) for one, other in world.people.items()}  # in the order of their keys
        places = sorted((one for one in values if values[one] > 0), key=lambda one: -values[one])
        most = -(-len(places) * number // 100) if percent else number
        return name in places[:most]

    return "term", f"redemptions.{window}{fact}:top({number}{percent})", test


OPERATORS = st.sampled_from(sorted(ORDER))
DAYS = st.sampled_from([1, 2, 30])
TERMS = st.one_of(
    st.builds(on_hold, st.booleans()),
    st.builds(kids, OPERATORS, st.integers(0, 3)),
    st.builds(city, st.lists(st.sampled_from(["Rome", "Oslo"]), min_size=1, max_size=2, unique=True)),
    st.builds(no_city),
    st.builds(created, OPERATORS, DAYS),
    st.builds(created_on, OPERATORS, st.integers(0, 2)),
    st.builds(logged_in, OPERATORS, DAYS),
    st.builds(never_logged_in),
    st.builds(some_kids, st.integers(0, 2), st.integers(1, 3)),
    st.builds(lives_there_since, OPERATORS, st.integers(0, 2)),
    st.builds(counted, st.one_of(st.none(), DAYS), OPERATORS, st.integers(0, 2)),
    st.builds(total, st.one_of(st.none(), DAYS), OPERATORS, st.sampled_from([0, 10, 25])),
    st.builds(last, OPERATORS, DAYS),
    st.builds(used, st.sampled_from(["SUMMER", "WINTER"])),
    st.builds(of_company, st.sampled_from(["COMPANY", "SUBSIDIARY"])),
)

RANKED = (ranked, st.sampled_from(["count", "total"]), st.sampled_from([None, 2]))
RANKS = st.one_of(
    st.builds(*RANKED, st.integers(1, 3), st.just("")),
    st.builds(*RANKED, st.sampled_from([10, 25, 34, 50, 100]), st.just("%")),
)


def trees(terms: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.recursive(
        terms,
        lambda inner: st.one_of(
            st.tuples(st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=3)),
            st.tuples(st.just("not"), inner),
        ),
        max_leaves=4,
    )


def written(tree: tuple[object, ...]) -> str:
    """Return a tree as the text of a rule."""
    return tree[1] if tree[0] == "term" else f"compoundLogicalQuery:({part(tree)})"


def part(tree: tuple[object, ...]) -> str:
    match tree:
        case ("term", text, _):
            return f"({text})"
        case ("not", inner):
            return f"(NOT {part(inner)})"
        case (operator, parts):
            return "(" + f" {operator.upper()} ".join(map(part, parts)) + ")"
    raise AssertionError(tree)


def is_shallow(tree: tuple[object, ...]) -> bool:
    """Say whether the text of a tree nests no deeper than rules may."""
    text, depth, deepest = written(tree), 0, 0
    for character in text.replace("NOT ", "("):
        depth += (character == "(") - (character == ")")
        deepest = max(deepest, depth)
    return deepest <= 5


STEPS = st.one_of(
    st.tuples(st.just("hold"), st.sampled_from(CUSTOMERS), st.booleans()),
    st.tuples(
        st.just("mixins"),
        st.sampled_from(CUSTOMERS),
        st.one_of(st.none(), st.integers(0, 3)),
        st.sampled_from([None, "Rome", "Oslo"]),
        st.sampled_from([None, "today", "now", "later", "soon", 2026]),
    ),
    st.tuples(st.just("login"), st.sampled_from(CUSTOMERS), st.booleans()),
    st.tuples(
        st.just("redeem"),
        st.sampled_from(CUSTOMERS),
        st.sampled_from([10, 20]),
        st.sampled_from(["EUR", "USD"]),
        st.sampled_from(["SUMMER", "WINTER"]),
    ),
    st.tuples(st.just("give back"), st.sampled_from(CUSTOMERS)),
    st.tuples(st.just("contact"), st.sampled_from(CUSTOMERS), st.sampled_from(COMPANIES)),
    st.tuples(st.just("type"), st.sampled_from(COMPANIES), st.sampled_from(["COMPANY", "SUBSIDIARY"])),
    st.tuples(st.just("leave"), st.sampled_from(CUSTOMERS)),
    st.tuples(st.just("come"), st.sampled_from(CUSTOMERS)),
    st.tuples(st.just("time"), st.sampled_from([timedelta(hours=5), DAY, 2 * DAY, 29 * DAY])),
    st.tuples(st.just("add"), st.sampled_from(CUSTOMERS), st.sampled_from(["live", "second"])),
    st.tuples(st.just("remove"), st.sampled_from(CUSTOMERS), st.sampled_from(["live", "second"])),
    st.tuples(st.just("lift"), st.sampled_from(CUSTOMERS), st.sampled_from(["live", "second"])),
    st.tuples(st.just("change"), st.sampled_from(["live", "second"]), trees(TERMS).filter(is_shallow)),
    st.tuples(st.just("crash"), st.integers(1, 3)),
)


class Machine:
    """Does each step to the database and to the oracle, and compares them."""

    def __init__(self, rules: JsonObject, begin: datetime) -> None:
        self.at = begin
        self.world = World(
            manual={name: set() for name in SEGMENTS}, excluded={name: set() for name in SEGMENTS}
        )
        self.tenant = Tenant.objects.create(name="machine", currency="EUR")
        site = SegmentFactory(tenant=self.tenant, site__tenant=self.tenant, external_id="live").site
        Site.objects.filter(pk=site.pk).update(home_base={"timezone": "Europe/Berlin"})
        for name in SEGMENTS[1:]:
            SegmentFactory(site=site, external_id=name)
        for code in ("SUMMER", "WINTER"):
            CouponFactory(tenant=self.tenant, code=code)
        for name in COMPANIES:
            LegalEntityFactory(tenant=self.tenant, external_id=name, type="COMPANY")
            self.world.types[name] = "COMPANY"
        for name in CUSTOMERS[:4]:
            self.do_come(name)
        for name, tree in rules.items():
            self.do_change(name, tree)

    def do(self, step: tuple[object, ...]) -> None:
        name, *arguments = step
        getattr(self, f"do_{name.replace(' ', '_')}")(*arguments)

    def row(self, name: str) -> Any:
        return Customer.objects.filter(tenant=self.tenant, external_id=name)

    def do_hold(self, name: str, value: bool) -> None:
        self.row(name).update(is_on_hold=value)
        if name in self.world.people:
            self.world.people[name].is_on_hold = value

    def do_mixins(self, name: str, kids: int | None, city: str | None, since: str | int | None) -> None:
        moments = {"today": self.at, "now": self.at, "later": self.at + DAY}
        if isinstance(since, str) and since in moments:
            text = moments[since].isoformat(timespec="milliseconds").replace("+00:00", "Z")
            since = text[:10] if since == "today" else text
        found = {"kids": kids, "city": city, "since": since}
        values = {key: value for key, value in found.items() if value is not None}
        self.row(name).update(mixins={"home": values} if values else None)
        if name in self.world.people:
            person = self.world.people[name]
            person.kids, person.city, person.since = kids, city, since

    def do_login(self, name: str, ever: bool) -> None:  # noqa: FBT001 -- drawn by hypothesis
        self.row(name).update(last_login_at=self.at if ever else None)
        if name in self.world.people:
            self.world.people[name].last_login = self.at if ever else None

    def do_redeem(self, name: str, amount: int, currency: str, code: str) -> None:
        if name not in self.world.people:
            return
        RedemptionFactory(
            coupon=self.coupon(code),
            customer=self.row(name).get(),
            customer_number=name,
            discount_amount=Decimal(amount),
            discount_currency=currency,
            redeemed_at=self.at,
        )
        self.world.people[name].redemptions.append((self.at, amount, currency, code))

    def coupon(self, code: str) -> Any:
        return CouponFactory._meta.model.objects.get(tenant=self.tenant, code=code)

    def do_give_back(self, name: str) -> None:
        first = (
            Redemption.objects.filter(tenant=self.tenant, customer__external_id=name).order_by("id").first()
        )
        if first is not None and name in self.world.people:
            first.delete()
            del self.world.people[name].redemptions[0]

    def do_contact(self, name: str, company: str) -> None:
        if name not in self.world.people:
            return
        companies = self.world.people[name].companies
        if company in companies:
            companies.remove(company)
            ContactAssignment.objects.filter(
                customer__external_id=name, legal_entity__external_id=company, tenant=self.tenant
            ).delete()
            return
        companies.add(company)
        ContactAssignmentFactory(
            legal_entity=LegalEntity.objects.get(tenant=self.tenant, external_id=company),
            customer=self.row(name).get(),
        )

    def do_type(self, company: str, kind: str) -> None:
        LegalEntity.objects.filter(tenant=self.tenant, external_id=company).update(type=kind)
        self.world.types[company] = kind

    def do_leave(self, name: str) -> None:
        self.row(name).delete()
        self.world.people.pop(name, None)
        for places in (self.world.manual, self.world.excluded):
            for members in places.values():
                members -= {member for member in members if member[0] == name}

    def do_come(self, name: str) -> None:
        if name in self.world.people:
            return
        CustomerFactory(tenant=self.tenant, external_id=name, created_at=self.at)
        self.world.people[name] = Person(self.at)

    def do_time(self, by: timedelta) -> None:
        self.at += by + timedelta(milliseconds=7)

    def do_add(self, name: str, segment: str) -> None:
        if name not in self.world.people:
            return
        upsert_customer_assignment(
            tenant_id=self.tenant.pk,
            segment_id=segment,
            row=CustomerAssignmentBody(customer_id=name),
            at=self.at,
        )
        self.world.manual[segment].add((name, None))
        self.world.excluded[segment].discard((name, None))

    def do_remove(self, name: str, segment: str) -> None:
        stored = CustomerAssignment.objects.filter(
            tenant=self.tenant, segment__external_id=segment, customer__external_id=name, legal_entity=None
        )
        if stored.exists():  # what is not held yet cannot be taken out by hand
            delete_customer_assignment(tenant_id=self.tenant.pk, segment_id=segment, member=Member(name))
            self.world.manual[segment].discard((name, None))
            self.world.excluded[segment].add((name, None))

    def do_lift(self, name: str, segment: str) -> None:
        lift_exclusion(tenant_id=self.tenant.pk, segment_id=segment, customer_id=name)
        self.world.excluded[segment].discard((name, None))

    def do_change(self, segment: str, tree: tuple[object, ...], mode: str = "LIVE") -> None:
        self.world.rules[segment] = tree
        is_companies = segment == "companies"
        save_rule(
            tenant_id=self.tenant.pk,
            segment_id=segment,
            q=f"type:{tree}" if is_companies else written(tree),
            mode=mode,
            membership="LEGAL_ENTITY" if is_companies else "CUSTOMER",
            at=self.at,
        )

    def do_crash(self, slices: int) -> None:
        """Cut a worker off: some slices are done, and of the next one everything is undone."""
        for _ in range(slices):
            settle_once(self.at)
        job = open_jobs().order_by("id").first()
        if job is not None:
            with transaction.atomic():
                run_slice(job, self.at)
                transaction.set_rollback(True)

    def check(self) -> None:
        settle(self.at)
        for segment in SEGMENTS:
            assert self.stored(segment) == self.world.members(segment, self.at), segment
        assert not RuleExclusion.objects.exclude(customer__external_id__in=self.world.people).exists()

    def stored(self, segment: str) -> dict[tuple[str, str | None], str]:
        rows = CustomerAssignment.objects.filter(tenant=self.tenant, segment__external_id=segment)
        return {
            (customer, entity): kind
            for customer, entity, kind in rows.values_list(
                "customer__external_id", "legal_entity__external_id", "assignment_type"
            )
        }

    def audit(self) -> None:
        """Evaluate everything anew: that finds nothing."""
        held = {segment: self.stored(segment) for segment in SEGMENTS}
        Rule.objects.update(evaluated_at=self.at - 2 * DAY)
        request_audits(self.at)
        settle(self.at)
        assert {segment: self.stored(segment) for segment in SEGMENTS} == held
        assert set(Rule.objects.values_list("state", "drift", "added", "removed")) == {("READY", 0, 0, 0)}


@settings(
    max_examples=14,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_members_equal_the_oracle_after_every_step(data: st.DataObject, db: None) -> None:
    rules = {
        "live": data.draw(trees(TERMS).filter(is_shallow)),
        "second": data.draw(trees(st.one_of(TERMS, st.just(in_live()))).filter(is_shallow)),
        "companies": data.draw(st.sampled_from(["COMPANY", "SUBSIDIARY"])),
    }
    steps = data.draw(st.lists(STEPS, max_size=12))
    with transaction.atomic():
        machine = Machine(rules, data.draw(st.sampled_from(BEGINNINGS)))
        machine.check()
        for step in steps:
            machine.do(step)
            if step[0] != "crash" and data.draw(st.booleans(), label="settle"):
                machine.check()
        machine.check()
        machine.audit()
        transaction.set_rollback(True)


# Those who redeem the same, which is what most do here, are told apart by who came first.
REDEMPTIONS = st.tuples(
    st.just("redeem"),
    st.sampled_from(CUSTOMERS),
    st.sampled_from([10, 20]),
    st.sampled_from(["EUR", "EUR", "USD"]),
    st.just("SUMMER"),
)
OTHERS = st.one_of(
    st.tuples(st.just("give back"), st.sampled_from(CUSTOMERS)),
    st.tuples(st.just("hold"), st.sampled_from(CUSTOMERS), st.booleans()),
    st.tuples(st.just("time"), st.sampled_from([timedelta(hours=5), DAY])),
)
COMINGS = st.tuples(st.sampled_from(["leave", "come"]), st.sampled_from(CUSTOMERS))


@settings(
    max_examples=14,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_the_first_by_rank_equal_the_oracle_and_stay_until_they_are_asked_for(
    data: st.DataObject, db: None
) -> None:
    tree = data.draw(trees(st.one_of(RANKS, RANKS, TERMS)).filter(is_shallow))
    before = data.draw(
        st.lists(st.one_of(REDEMPTIONS, REDEMPTIONS, OTHERS, COMINGS), min_size=4, max_size=12)
    )
    since = data.draw(st.lists(st.one_of(REDEMPTIONS, OTHERS), max_size=6))
    with transaction.atomic():
        machine = Machine({}, BEGINNINGS[0])
        SegmentFactory(site=Site.objects.get(tenant=machine.tenant), external_id="best")
        machine.world.manual["best"], machine.world.excluded["best"] = set(), set()
        for step in before:
            machine.do(step)
        machine.do_change("best", tree, mode="SNAPSHOT")
        settle(machine.at)
        first = machine.world.members("best", machine.at)
        assert machine.stored("best") == first
        for step in since:
            machine.do(step)
        settle(machine.at)
        assert machine.stored("best") == first
        ask_for_evaluation(tenant_id=machine.tenant.pk, segment_id="best", at=machine.at)
        settle(machine.at)
        assert machine.stored("best") == machine.world.members("best", machine.at)
        transaction.set_rollback(True)
