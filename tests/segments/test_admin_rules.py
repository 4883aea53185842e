"""The page "Who belongs": rows and text, a look before saving, saving, state, exclusions and reasons."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import Permission
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils.translation import gettext, override

from accounts.models import Customer, Site, User
from core.admin.faults import FAULTS, fault_text
from core.background.models import Job
from core.json_types import JsonObject
from core.tenancy.models import Tenant
from segments.models import CustomerAssignment, Rule, RuleExclusion, Segment
from segments.rules import previews
from tests.conftest import Clock, browser_with, web_client
from tests.factories.accounts import CustomerFactory, SiteFactory, UserFactory
from tests.factories.catalog import ProductFactory
from tests.factories.coupons import CouponFactory, CouponSegmentFactory, RedemptionFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory
from tests.linked_numbers import assert_listed
from tests.segments.rules.settling import segment_with_customers


@pytest.fixture
def gold(site: Site) -> Segment:
    return segment_with_customers(site)


def page_of(segment: Segment) -> str:
    return reverse("admin:segments_segment_rule", args=[segment.pk])


def rows(
    *listed: tuple[int, str, str, str], text: str = "", shown: str | None = None, **more: str
) -> JsonObject:
    """Return what the form sends: rows of group, field, test and value; the text as it was shown."""
    return {
        "row_group": [group for group, *_ in listed],
        "row_field": [field for _, field, *_ in listed],
        "row_test": [test for _, _, test, _ in listed],
        "row_value": [value for *_, value in listed],
        "text": text,
        "shown_text": text if shown is None else shown,
        "mode": "LIVE",
        "membership": "CUSTOMER",
        "version": "",
        **more,
    }


def text_in(response: HttpResponse) -> str:
    return response.context["form"].text


def facts_in(response: HttpResponse) -> dict[str, str]:
    return {str(fact.text): fact.number for fact in response.context["facts"]}


def test_rows_make_the_text_and_show_what_would_happen(staff_browser: Client, gold: Segment) -> None:
    stranger = CustomerFactory(tenant=gold.tenant, external_id="old", is_on_hold=True)
    CustomerAssignmentFactory(segment=gold, customer=stranger, assignment_type="AUTOMATIC")
    ItemAssignmentFactory(segment=gold, product=ProductFactory(tenant=gold.tenant))
    coupon = CouponFactory(tenant=gold.tenant, code="GOLD10", is_segment_restricted=True)
    CouponSegmentFactory(coupon=coupon, segment=gold)
    sent = rows(
        (0, "onHold", "is", "false"),
        (1, "mixins.loyalty.tier", "is", "gold"),
        (1, "id", "is", "c1"),
        do="preview",
    )

    response = staff_browser.post(page_of(gold), sent)

    assert text_in(response) == ("onHold:false compoundLogicalQuery:((mixins.loyalty.tier:gold) OR (id:c1))")
    assert facts_in(response) == {
        "belong": "2",
        "join": "2",
        "leaves": "1",
        "item opened to them": "1",
        "coupon opened to them": "1",
    }
    [belong] = [fact for fact in response.context["facts"] if fact.text == "belong"]
    assert belong.details == "of 5 customers (40.0 %)"
    assert [(term.q, term.text) for term in response.context["terms"]] == [
        ("onHold:false", "3"),
        ("mixins.loyalty.tier:gold", "2"),
        ("id:c1", "1"),
    ]
    counted = [(fact.url, fact.number) for fact in response.context["facts"][:3]]
    counted += [(term.url, term.text) for term in response.context["terms"]]
    for address, number in counted:
        assert len(staff_browser.get(address).context["members"]) == int(number)
    assert [one.id for one in response.context["preview"].sample] == ["c1", "c2"]
    assert not Rule.objects.exists()


def test_those_whom_a_number_counts_are_listed_page_by_page(
    staff_browser: Client, gold: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segments.admin.rules.LISTED", 2)
    sent = rows((0, "onHold", "is", "false"), do="preview")
    address = staff_browser.post(page_of(gold), sent).context["facts"][0].url
    found, sizes = set(), []
    while address:
        page = staff_browser.get(address)
        members = page.context["members"]
        sizes.append(len(members))
        found |= {customer.external_id for customer, _ in members}
        address = page.context["following"]
    expected = Customer.objects.filter(tenant=gold.tenant, is_on_hold=False)
    assert (sizes, found) == ([2, 1], set(expected.values_list("external_id", flat=True)))


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({"q": "id:c1", "of": "term", "term": "3"}, "The rule has fewer conditions."),
        ({"q": "id:("}, "errornote"),
        ({"q": ""}, "errornote"),
        ({"q": "id:c1", "after": "x-99999999999999999999"}, "c1"),
        ({"q": "id:c1", "of": "nothing", "mode": "x", "membership": "y"}, "c1"),
    ],
)
def test_an_address_of_no_number_says_what_is_wrong(
    staff_browser: Client, gold: Segment, query: dict[str, str], text: str
) -> None:
    page = staff_browser.get(reverse("admin:segments_segment_rule_counted", args=[gold.pk]), query)
    assert (page.status_code, text in page.content.decode()) == (200, True)


def test_whoever_may_not_preview_a_rule_may_not_list_whom_it_counts(gold: Segment) -> None:
    for right in ("change_segment", "view_customer"):
        User.objects.filter(username="staff").delete()
        browser = browser_with(gold.tenant, right)
        page = browser.get(reverse("admin:segments_segment_rule_counted", args=[gold.pk]), {"q": "id:c1"})
        assert page.status_code == 403


def test_estimates_are_shown_as_such_until_all_are_counted(
    staff_browser: Client, gold: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"MOST_EXACT": 0, "EACH": 1, "RARE": 0}.items():
        monkeypatch.setattr(previews, name, value)
    estimated = staff_browser.post(page_of(gold), rows((0, "onHold", "is", "false"), do="preview"))
    assert facts_in(estimated)["belong"] == "about 3"
    assert facts_in(estimated)["leave"] == "hardly any"
    assert [term.text for term in estimated.context["terms"]] == ["about 3"]
    assert "Count all" in estimated.content.decode()
    counted = staff_browser.post(page_of(gold), rows((0, "onHold", "is", "false"), do="count"))
    assert facts_in(counted)["belong"] == "3"
    assert "Count all" not in counted.content.decode()
    assert counted.context["previewed"] == estimated.context["previewed"]


def test_a_text_that_was_edited_makes_the_rows(staff_browser: Client, gold: Segment) -> None:
    sent = rows((0, "onHold", "is", "false"), text="id:(c1,c2)", shown="onHold:false", do="preview")
    response = staff_browser.post(page_of(gold), sent)
    [[row]] = response.context["groups"]
    assert (row.row.field, row.row.test, row.row.value) == ("id", "is", "c1, c2")
    assert not response.context["form"].overruled


def test_the_text_wins_over_rows_and_the_page_says_so(staff_browser: Client, gold: Segment) -> None:
    sent = rows((0, "onHold", "is", "true"), text="id:c1", shown="onHold:false", do="preview")
    response = staff_browser.post(page_of(gold), sent)
    assert text_in(response) == "id:c1"
    assert "Both the rows and the text were changed" in response.content.decode()


@pytest.mark.parametrize(
    ("button", "shape"),
    [
        ("add_row:0", [["a", "b", ""], ["c"]]),
        ("add_row:7", [["a", "b"], ["c"]]),
        ("add_group", [["a", "b"], ["c"], [""]]),
        ("remove_row:0-1", [["a"], ["c"]]),
        ("remove_row:1-0", [["a", "b"]]),
        ("remove_row:5-5", [["a", "b"], ["c"]]),
        ("remove_row:x", [["a", "b"], ["c"]]),
    ],
)
def test_rows_come_and_go_without_a_script(
    staff_browser: Client, gold: Segment, button: str, shape: list[list[str]]
) -> None:
    sent = rows((0, "a", "is", "1"), (0, "b", "known", ""), (1, "c", "less", "2"), do=button)
    text = "compoundLogicalQuery:((a:1) OR (b:exists)) c:<2"
    response = staff_browser.post(page_of(gold), {**sent, "text": text, "shown_text": text})
    assert [[one.row.field for one in group] for group in response.context["groups"]] == shape


@pytest.mark.parametrize(
    ("sent", "fault", "place"),
    [
        (rows((0, "onHold", "is", "false"), (1, "id", "is", "")), "Enter a value.", (1, 0)),
        (
            rows((0, "colour", "is", "red")),
            "There is no fact colour about customers; see docs/rules.md",
            (0, 0),
        ),
        (
            rows((0, "id", "is", "x"), (1, "lastLogin", "more", "soon")),
            "The value must be an ISO 8601",
            (1, 0),
        ),
        (rows(text="id:(", shown=""), "Expected a value", None),
        (rows(text="", shown=""), "The rule has no term", None),
    ],
)
def test_a_fault_is_shown_at_its_row_or_character(
    staff_browser: Client, gold: Segment, sent: object, fault: str, place: tuple[int, int] | None
) -> None:
    response = staff_browser.post(page_of(gold), {**sent, "do": "preview"})
    form = response.context["form"]
    assert fault in form.fault
    assert form.faulty == place
    assert fault in response.content.decode()
    assert response.context["preview"] is None


def test_a_rule_is_saved_only_after_a_look_at_what_it_does(staff_browser: Client, gold: Segment) -> None:
    sent = rows((0, "onHold", "is", "false"), do="save")
    looked = staff_browser.post(page_of(gold), sent)
    assert "Nothing is saved yet" in looked.content.decode()
    assert not Rule.objects.exists()
    sent |= {
        "text": text_in(looked),
        "shown_text": text_in(looked),
        "previewed": looked.context["previewed"],
    }

    saved = staff_browser.post(page_of(gold), sent)

    assert saved.status_code == 302
    rule = Rule.objects.get(segment=gold)
    assert (rule.q, rule.mode, rule.membership, rule.state) == ("onHold:false", "LIVE", "CUSTOMER", "PENDING")
    assert Job.objects.filter(tenant=gold.tenant).count() == 1
    shown = staff_browser.get(page_of(gold)).content.decode()
    assert "Waits for its evaluation" in shown


def saved_rule(segment: Segment, **values: object) -> Rule:
    return Rule.objects.create(tenant=segment.tenant, segment=segment, q="onHold:false", **values)


def test_another_editor_s_rule_is_not_overwritten(staff_browser: Client, gold: Segment) -> None:
    rule = saved_rule(gold, version=3)
    text = "onHold:true"
    sent = rows(text=text, shown="", do="save", version="2", previewed=f"LIVE CUSTOMER {text}")
    response = staff_browser.post(page_of(gold), sent)
    assert response.status_code == 200
    assert "version" in response.context["form"].fault
    assert text_in(response) == text
    rule.refresh_from_db()
    assert rule.q == "onHold:false"
    first = rows(text=text, shown="", do="save", previewed=f"LIVE CUSTOMER {text}")
    assert "version" in staff_browser.post(page_of(gold), first).context["form"].fault


@pytest.mark.parametrize(
    ("values", "sentence", "german"),
    [
        (
            {"status": "INACTIVE"},
            "The segment gold is inactive. The rule is evaluated once it is active.",
            "Das Segment gold ist inaktiv. Die Regel wird ausgewertet, sobald es aktiv ist.",
        ),
        (
            {"valid_to": datetime(2000, 1, 1, tzinfo=UTC)},
            "The segment gold is over. The rule is evaluated once its end is later.",
            "Das Segment gold ist vorbei. Die Regel wird ausgewertet, sobald sein Ende später liegt.",
        ),
    ],
)
def test_the_page_says_what_the_rule_waits_for(
    staff_browser: Client, gold: Segment, values: dict[str, object], sentence: str, german: str
) -> None:
    saved_rule(gold)
    assert "The rule is evaluated once" not in staff_browser.get(page_of(gold)).content.decode()
    Segment.objects.filter(pk=gold.pk).update(**values)
    assert sentence in staff_browser.get(page_of(gold)).content.decode()
    in_german = staff_browser.get(page_of(gold), headers={"Accept-Language": "de"})
    assert german in in_german.content.decode()


def test_the_state_is_shown_and_an_evaluation_can_be_asked_for(
    staff_browser: Client, gold: Segment, clock: type[Clock]
) -> None:
    saved_rule(
        gold,
        state="FAILED",
        message="It took too long.",
        members=1234,
        milliseconds=31_000,
        evaluated_at=clock.at,
        next_due_at=clock.at + timedelta(hours=1),
    )
    page = staff_browser.get(page_of(gold)).content.decode()
    for text in ("Failed", "It took too long.", "1,234", "Slow", "31000 ms"):
        assert text in page.replace("31,000", "31000")
    response = staff_browser.post(page_of(gold), {"do": "evaluate"}, follow=True)
    assert "being evaluated in the background" in response.content.decode()
    assert Job.objects.filter(tenant=gold.tenant).count() == 1


@pytest.mark.parametrize(("members", "left"), [("keep", ["MANUAL"]), ("remove", [])])
def test_a_rule_is_turned_off_with_or_without_its_members(
    staff_browser: Client, gold: Segment, members: str, left: list[str]
) -> None:
    saved_rule(gold)
    customer = CustomerFactory(tenant=gold.tenant)
    CustomerAssignmentFactory(segment=gold, customer=customer, assignment_type="AUTOMATIC")
    staff_browser.post(page_of(gold), {"do": "turn_off", "members": members})
    assert not Rule.objects.exists()
    assert list(CustomerAssignment.objects.values_list("assignment_type", flat=True)) == left


def test_an_exclusion_is_listed_and_lifted(staff_browser: Client, gold: Segment) -> None:
    saved_rule(gold)
    customer = CustomerFactory(tenant=gold.tenant, first_name="Berta")
    RuleExclusion.objects.create(tenant=gold.tenant, segment=gold, customer=customer, actor_id="ada")
    page = staff_browser.get(page_of(gold)).content.decode()
    assert "Berta" in page
    assert "ada" in page
    staff_browser.post(page_of(gold), {"do": "lift:nonsense"})
    assert RuleExclusion.objects.exists()
    staff_browser.post(page_of(gold), {"do": f"lift:{customer.pk}"})
    assert not RuleExclusion.objects.exists()


@pytest.mark.parametrize("name", ["new", "sleeping", "best", "companies"])
def test_each_template_is_a_rule_that_can_be_previewed(
    staff_browser: Client, gold: Segment, name: str
) -> None:
    begun = staff_browser.get(page_of(gold), {"template": name}).context["form"]
    assert begun.groups
    sent = rows(text=begun.text, mode=begun.mode, membership=begun.membership, shown="", do="preview")
    response = staff_browser.post(page_of(gold), sent)
    assert response.context["form"].fault == ""
    assert response.context["preview"] is not None


def test_members_say_how_they_belong_and_why(staff_browser: Client, gold: Segment) -> None:
    saved_rule(gold)
    for number, kind in ((1, "AUTOMATIC"), (0, "MANUAL")):
        customer = Customer.objects.get(tenant=gold.tenant, external_id=f"c{number}")
        CustomerAssignmentFactory(segment=gold, customer=customer, assignment_type=kind)
    listed = staff_browser.get(reverse("admin:segments_customerassignment_changelist")).content.decode()
    assert "by hand" in listed
    why = reverse("admin:segments_segment_rule_why", args=[gold.pk])
    assert f'<a href="{why}?customer=c1">by rule</a>' in listed
    by_rule = staff_browser.get(why, {"customer": "c1"}).content.decode()
    assert "Member by the rule" in by_rule
    assert "The rule holds for the customer." in by_rule
    by_hand = staff_browser.get(why, {"customer": "c0"}).content.decode()
    assert "Member by hand" in by_hand
    assert "The rule does not hold for the customer." in by_hand
    assert "<code>onHold:false</code>" in by_hand
    unknown = staff_browser.get(why, {"customer": "nobody"})
    assert unknown.status_code == 200
    assert "errornote" in unknown.content.decode()
    hostile = staff_browser.get(why, {"customer": "\0", "company": "\0"})  # as if nobody was named
    assert (hostile.status_code, "errornote" in hostile.content.decode()) == (200, False)
    hostile = staff_browser.get(why, {"customer": "c1\0", "company": "9" * 5_000, "\0": "\0"})
    assert (hostile.status_code, "errornote" in hostile.content.decode()) == (200, True)


# Who may


@pytest.fixture
def member_with(gold: Segment) -> Callable[..., Client]:
    def make(*permissions: str) -> Client:
        user: User = UserFactory(username="member", tenant=gold.tenant, is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        browser = web_client()
        browser.force_login(user)
        return browser

    return make


def test_whoever_may_only_look_sees_the_rule_and_changes_nothing(
    member_with: Callable[..., Client], gold: Segment
) -> None:
    saved_rule(gold)
    browser = member_with("view_segment")
    page = browser.get(page_of(gold)).content.decode()
    assert "onHold" in page
    assert 'name="do"' not in page
    assert browser.post(page_of(gold), rows((0, "onHold", "is", "true"), do="preview")).status_code == 403
    assert browser.get(reverse("admin:segments_segment_rule_why", args=[gold.pk])).status_code == 403


def test_a_preview_needs_the_right_to_see_customers(
    member_with: Callable[..., Client], gold: Segment
) -> None:
    browser = member_with("view_segment", "change_segment")
    assert browser.post(page_of(gold), rows((0, "email", "is", "x"), do="preview")).status_code == 403
    assert "loyalty" not in browser.get(page_of(gold)).content.decode()


def test_coupons_are_counted_only_for_whoever_may_see_them(
    member_with: Callable[..., Client], gold: Segment
) -> None:
    browser = member_with("view_segment", "change_segment", "view_customer")
    response = browser.post(page_of(gold), rows((0, "onHold", "is", "false"), do="preview"))
    assert "coupons opened to them" not in facts_in(response)


def test_a_segment_of_another_tenant_is_not_there(
    member_with: Callable[..., Client], other_tenant: Tenant
) -> None:
    theirs = SegmentFactory(site=SiteFactory(tenant=other_tenant))
    browser = member_with("view_segment", "change_segment", "view_customer")
    assert browser.get(page_of(theirs)).status_code == 404
    assert browser.post(page_of(theirs), {"do": "evaluate"}).status_code == 404


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (rows((0, "nope", "is", "1")), "Ein Merkmal nope von Kunden gibt es nicht"),
        (rows((0, "onHold", "is", "maybe")), "Hier fehlt true oder false"),
        (rows((0, "bucket", "between", "1")), "Schreiben Sie zwei Werte mit einem Komma dazwischen."),
        (rows(text="(", shown=""), "An Zeichen"),
        (rows(text="segments:(a", shown=""), "Diese Klammer ist nicht geschlossen"),
        (rows(text="segments:nosuch", shown=""), "Es gibt kein Segment nosuch"),
        (rows(text="segments:gold", shown=""), "im Kreis: gold -&gt; gold"),
        (rows(text="lastName:~a", shown=""), "Eine Regel der Art LIVE hat keine regulären Ausdrücke"),
    ],
)
def test_faults_are_said_in_german(
    staff_browser: Client, gold: Segment, sent: dict[str, str], said: str
) -> None:
    staff_browser.cookies["django_language"] = "de"
    sent = {**sent, "do": "preview"}
    first = staff_browser.post(page_of(gold), sent)
    if first.context["previewed"]:  # only saving it finds the fault
        sent = {**sent, "do": "save", "previewed": first.context["previewed"]}
    assert said in staff_browser.post(page_of(gold), sent).content.decode()


def test_sentences_of_faults_have_german_ones() -> None:
    with override("de"):
        same = [sentence for sentence in FAULTS if gettext(sentence) == sentence]
    assert same == []


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("there is no fact a.b about customers; see docs/rules.md", "a.b"),
        ("Rules that name segments with rules would be 4 deep; 3 is the most.", "4 tief; 3 ist das Höchste"),
        ("It took longer than 60 seconds. Make the rule simpler.", "60 Sekunden"),
        ("q has at most 4000 characters", "4000 Zeichen"),
    ],
)
def test_what_a_fault_names_is_kept(fault: str, words: str) -> None:
    with override("de"):
        assert words in fault_text(fault)
    assert fault_text(fault) == fault


def test_saving_and_turning_off_offer_to_take_it_back(staff_browser: Client, gold: Segment) -> None:
    sent = rows((0, "onHold", "is", "false"))
    seen = staff_browser.post(page_of(gold), {**sent, "do": "preview"}).context["previewed"]
    page = staff_browser.post(page_of(gold), {**sent, "do": "save", "previewed": seen}, follow=True)
    fields = dict(
        re.findall(r'<input type="hidden" name="(type|id|next)" value="([^"]+)"', page.content.decode())
    )
    staff_browser.post(reverse("admin:journal_change_undo_occasion"), fields)
    assert not Rule.objects.exists()


@pytest.mark.usefixtures("real_time")
def test_redemptions_that_a_total_leaves_out_are_listed(staff_browser: Client, gold: Segment) -> None:
    at = datetime.now(UTC)
    buyer = CustomerFactory(tenant=gold.tenant)
    coupon = CouponFactory(tenant=gold.tenant)
    for currency, days in (("CHF", 1), ("CHF", 100), ("EUR", 1)):
        RedemptionFactory(
            coupon=coupon,
            customer=buyer,
            customer_number=buyer.external_id,
            discount_amount=1,
            discount_currency=currency,
            redeemed_at=at - timedelta(days=days),
        )
    for field, number in (("redemptions.90d.total", "1"), ("redemptions.total", "2")):
        asked = staff_browser.post(page_of(gold), rows((0, field, "at_least", "1"), do="preview"))
        [fact] = [one for one in asked.context["facts"] if "left out" in one.text]
        assert fact.number == number
        assert_listed(staff_browser, [fact])
