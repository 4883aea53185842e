from datetime import UTC, date, datetime
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts.models import User
from config.demo.assortment import readable
from config.demo.calendar import Calendar
from config.demo.loading import shop_calendar
from config.demo.management.commands.load_demo_data import Command, CommandProgress
from config.demo.people import COMPANIES, contacts_of
from config.demo.rows import Load, RefusedRow
from config.demo.shop import Names, NameTaken, make_clients, make_staff
from core.imports.merge import Tally
from core.tenancy.models import Tenant
from tests.factories.accounts import ApiClientFactory, TenantFactory, UserFactory


def test_the_well_known_logins_are_refused_outside_development_before_anything_is_written(db, settings):
    settings.DEBUG = False
    with pytest.raises(CommandError, match="logins that everybody knows") as refused:
        call_command("load_demo_data")
    assert "--insecure-demo-logins" in str(refused.value)
    assert not Tenant.objects.exists()
    assert not User.objects.exists()


@pytest.mark.parametrize("name", ["Demo", "de", "demo shop", "1demo"])
def test_a_tenant_name_that_breaks_the_rule_is_refused(db, settings, name):
    settings.DEBUG = True
    with pytest.raises(CommandError, match="The tenant's name is wrong"):
        call_command("load_demo_data", tenant=name)
    assert not Tenant.objects.exists()


def test_days_move_by_whole_days_so_that_the_day_of_the_data_is_today():
    calendar = shop_calendar(day_of_data=date(2017, 11, 20), today=date(2026, 3, 4), shifts=True)
    assert calendar.starts(date(2017, 11, 20)) == datetime(2026, 3, 4, tzinfo=UTC)
    assert calendar.ends(datetime(2017, 12, 24)) == datetime(2026, 4, 7, 23, 59, 59, 999_000, tzinfo=UTC)  # noqa: DTZ001
    other = shop_calendar(day_of_data=date(2017, 6, 1), today=date(2026, 3, 4), shifts=True)
    assert other.starts(date(2017, 6, 1)) == datetime(2026, 3, 4, tzinfo=UTC)


def test_without_a_shift_days_stay_what_they_were():
    calendar = shop_calendar(day_of_data=date(2017, 11, 20), today=date(2026, 3, 4), shifts=False)
    assert calendar == Calendar()
    assert calendar.noon(date(2017, 11, 20)) == datetime(2017, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ICE - CRUSHED/CUBED", "Ice - Crushed/Cubed"),
        ("CHRISTMAS  SEASONAL", "Christmas Seasonal"),
        ("BEANS - CANNED GLASS & MW", "Beans - Canned Glass & Mw"),
        ("CREST 'N CO'S", "Crest 'N Co's"),
    ],
)
def test_capitals_become_words(text, expected):
    assert readable(text) == expected


def test_contacts_belong_to_campaign_18_alone_and_the_first_of_each_company_to_the_next_too():
    nobody = frozenset()
    members = {15: frozenset({1}), 18: frozenset(range(200)), 19: nobody, 20: nobody, 21: frozenset({2})}
    contacts = contacts_of(members)
    assert list(contacts) == [company.external_id for company in COMPANIES]
    assert all(len(households) == 9 for households in contacts.values())
    first = {company: households[0] for company, households in contacts.items()}
    last = {company: households[-1] for company, households in contacts.items()}
    assert list(first.values()) == [last[name] for name in [*list(last)[1:], list(last)[0]]]
    assert not {1, 2} & {household for households in contacts.values() for household in households}


def test_an_api_client_of_another_tenant_is_not_taken_over(db):
    tenant = TenantFactory(name="demo")
    other = ApiClientFactory(client_id="demo-backend", tenant=TenantFactory(name="globex"))
    with pytest.raises(NameTaken, match="demo-backend belongs to the tenant globex"):
        make_clients(tenant, Names("demo"), datetime.now(UTC))
    other.refresh_from_db()
    assert (other.tenant.name, other.scopes) == ("globex", [])


def test_a_merchandiser_of_another_tenant_is_not_taken_over(db):
    tenant = TenantFactory(name="demo")
    UserFactory(username="merchandiser", tenant=TenantFactory(name="globex"))
    with pytest.raises(NameTaken, match="merchandiser belongs to the tenant globex"):
        make_staff(tenant, Names("demo"))
    assert not User.objects.filter(username="admin").exists()


def test_an_admin_that_exists_keeps_the_password(db):
    User.objects.create_superuser("admin", password="a better one")
    tally = make_staff(TenantFactory(name="demo"), Names("demo"))
    assert (tally.created, tally.unchanged) == (1, 1)
    assert User.objects.get(username="admin").check_password("a better one")


def test_another_tenant_has_logins_of_its_own():
    names = Names("shop2")
    assert (names.backend, names.storefront, names.merchandiser) == (
        "shop2-backend",
        "shop2-storefront",
        "shop2-merchandiser",
    )


def test_the_command_tells_counts_refused_rows_and_logins():
    out = StringIO()
    command = Command(stdout=out)
    load = Load(1, datetime.now(UTC), CommandProgress(command.stdout))
    load.refused.append(RefusedRow("coupons.parquet", 7_903, "unknown_product", "There is no product 5."))
    tally = Tally(rows=116_204, created=103_995, repeated=12_193, refused=16)
    load.note("segment products", tally)
    command.report(load, "demo", 12.34)
    assert out.getvalue() == (
        "segment products        116,204 rows, 103,995 created, 12,193 repeated, 16 refused\n"
        "refused: coupons.parquet, row 7903: There is no product 5. (unknown_product)\n"
        "The demo shop is loaded into the tenant demo in 12.3 s. 1 row of the source was refused.\n"
        "Admin: admin/admin, merchandiser/merchandiser."
        " API: demo-backend with the secret demo-backend-secret, demo-storefront.\n"
        "Customers: household-1@example.com and so on, password demo.\n"
        "Data: The Complete Journey by 84.51°, for research and education (docs/demo-data.md).\n"
    )


def test_the_command_says_when_everything_was_up_to_date():
    out = StringIO()
    command = Command(stdout=out)
    load = Load(1, datetime.now(UTC), CommandProgress(command.stdout))
    load.tallies["products"] = Tally(rows=3, unchanged=3)
    command.report(load, "demo", 5)
    assert out.getvalue() == "The demo shop was up to date: everything is unchanged (5.0 s).\n"
