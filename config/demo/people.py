"""Households as customers, and companies that some of them are contacts of."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from django.contrib.auth.hashers import make_password

from accounts.imports.customers import CUSTOMERS
from accounts.imports.legal_entities import CONTACTS, LEGAL_ENTITIES
from config.demo.calendar import Calendar
from config.demo.rows import NO_MIXINS, Load, numbered
from config.demo.shop import CURRENCY, CUSTOMER_PASSWORD, SITE
from config.demo.source import Purchases, SourceRow
from core.imports.merge import Tally
from core.imports.merge_specs import MergeSpec
from core.imports.stages import json_text
from core.sql.composition import param, sql
from core.sql.fetching import fetch_rows

DEMOGRAPHICS = {
    "age": "age",
    "income": "income",
    "home_ownership": "homeOwnership",
    "marital_status": "maritalStatus",
    "household_size": "householdSize",
    "household_comp": "householdComposition",
    "kids_count": "kidsCount",
}
HOME_CAMPAIGN = 18  # contacts belong to it as private customers
CONTACTS_OF_EACH = 8
SLEEPING_DAYS = 180  # who has bought nothing for longer is on hold


@dataclass(frozen=True, slots=True)
class Company:
    """A legal entity: its id, its name, and the campaigns whose range its contacts see at work."""

    external_id: str
    name: str
    campaigns: tuple[int, ...]
    parent: str | None = None


COMPANIES = (
    Company("riverside-catering", "Riverside Catering Inc.", (15,)),
    Company("hillcrest-day-care", "Hillcrest Day Care LLC", (19,)),
    Company("maple-street-diner", "Maple Street Diner", (15, 19)),
    Company("oakwood-care-homes", "Oakwood Care Homes Inc.", (15, 20)),
    Company("oakwood-kitchens", "Oakwood Kitchens LLC", (19, 21), parent="oakwood-care-homes"),
)


def load_customers(
    load: Load, purchases: Purchases, demographics: Iterable[SourceRow], calendar: Calendar
) -> None:
    """Make every household a customer; all share one encoded password, since hashing it takes its time.

    One that has bought nothing for half a year, as of today, is on hold.
    """
    known = {row["household_id"]: row for row in demographics}
    password = make_password(CUSTOMER_PASSWORD)
    today = calendar.day_of_data(load.at)
    last_days = {household: last_day(days, today) for household, days in purchases.items()}
    awake = today - timedelta(days=SLEEPING_DAYS)
    rows = [
        row_of(
            CUSTOMERS,
            external_id=str(household),
            email=f"household-{household}@example.com",
            title="",
            first_name="Household",
            middle_name="",
            last_name=str(household),
            contact_phone="",
            company="",
            company_registration_id="",
            preferred_language="en_US",
            preferred_currency=CURRENCY,
            preferred_site=SITE,
            type="CUSTOMER",
            photo_url="",
            is_active=True,
            is_on_hold=(last_days[household] or today) < awake,
            mixins=json_text(mixins_of(known[household])) if household in known else NO_MIXINS,
            mixin_schemas=NO_MIXINS,
            password=password,
            number_hash=None,
            email_hash=None,
        )
        for household in purchases
    ]
    load.merge("customers", CUSTOMERS, numbered(rows), file="transactions.parquet")
    _load_visits(load, purchases, last_days, calendar)


def last_day(days: Iterable[date], today: date) -> date | None:
    """Return the last of the days that is not after today."""
    return max((day for day in days if day <= today), default=None)


def _load_visits(
    load: Load, purchases: Purchases, last_days: Mapping[int, date | None], calendar: Calendar
) -> None:
    """Let customers be as old as their first purchase, and have logged in for the last one until today.

    Whoever buys first after today is as old as today; a later login in the shop stays.
    """
    today = calendar.day_of_data(load.at)
    visits = [
        (str(household), calendar.starts(min(*days, today)), last and calendar.starts(last))
        for household, days in purchases.items()
        for last in [last_days[household]]
    ]
    numbers, firsts, lasts = zip(*visits, strict=True)
    changed = fetch_rows(
        sql(
            "UPDATE accounts_customer AS customer"
            " SET created_at = given.first, last_login_at = greatest(customer.last_login_at, given.last)"
            " FROM unnest({numbers}, {firsts}, {lasts}) AS given (number, first, last)"
            " WHERE customer.tenant_id = {tenant} AND customer.external_id = given.number"
            " AND (customer.created_at, customer.last_login_at) IS DISTINCT FROM"
            " (given.first, greatest(customer.last_login_at, given.last)) RETURNING 1",
            tenant=param(load.tenant_id),
            numbers=param(list(numbers), "text[]"),
            firsts=param(list(firsts), "timestamptz[]"),
            lasts=param(list(lasts), "timestamptz[]"),
        )
    )
    written = len(changed)
    load.note("visits", Tally(rows=len(visits), changed=written, unchanged=len(visits) - written))


def mixins_of(row: SourceRow) -> dict[str, dict[str, str]]:
    """Return what is known of a household; what is missing stays absent."""
    known = {name: row[column] for column, name in DEMOGRAPHICS.items() if row[column] is not None}
    return {"demographics": known}


def contacts_of(members: Mapping[int, frozenset[int]]) -> dict[str, list[int]]:
    """Return the households of each company, given the members of each campaign.

    They belong to campaign 18 at home and to none of the campaigns that any company works with. The first
    of each company's households is a contact of the next company too.
    """
    elsewhere = {campaign for company in COMPANIES for campaign in company.campaigns}
    private = members[HOME_CAMPAIGN].difference(*(members[campaign] for campaign in elsewhere))
    wanted = len(COMPANIES) * CONTACTS_OF_EACH
    chosen = sorted(private)[:: len(private) // wanted][:wanted]
    own = [chosen[at : at + CONTACTS_OF_EACH] for at in range(0, wanted, CONTACTS_OF_EACH)]
    return {company.external_id: [*own[at], own[at - 1][0]] for at, company in enumerate(COMPANIES)}


def load_companies(load: Load, contacts: Mapping[str, Sequence[int]]) -> None:
    """Make the companies, parents first, and their contacts."""
    independent = [company for company in COMPANIES if company.parent is None]
    dependent = [company for company in COMPANIES if company.parent is not None]
    load.merge("legal entities", LEGAL_ENTITIES, numbered(map(company_row, independent)))
    subsidiaries = numbered(map(company_row, dependent), start=len(independent) + 1)
    load.merge("subsidiaries", LEGAL_ENTITIES, subsidiaries)
    rows = [
        (
            f"{company}-{household}",
            str(household),
            company,
            "PRIMARY" if position == 0 else "CONTACT",
            position == 0,
            NO_MIXINS,
            NO_MIXINS,
        )
        for company, households in contacts.items()
        for position, household in enumerate(households)
    ]
    load.merge("contact assignments", CONTACTS, numbered(rows))


def company_row(company: Company) -> tuple[object, ...]:
    """Return a company as LEGAL_ENTITIES takes it."""
    empty = json_text([])
    return row_of(
        LEGAL_ENTITIES,
        external_id=company.external_id,
        name=company.name,
        type="SUBSIDIARY" if company.parent else "COMPANY",
        legal_info=json_text({"legalName": company.name, "countryOfRegistration": "US"}),
        account_limit=json_text({}),
        customer_groups=empty,
        entities_addresses=empty,
        approval_group=empty,
        restrictions=empty,
        mixins=NO_MIXINS,
        mixin_schemas=NO_MIXINS,
        parent=company.parent,
    )


def row_of(kind: MergeSpec, **values: object) -> tuple[object, ...]:
    """Return the values as the kind takes a row: one for each column of `given`, in its order."""
    return tuple([values[name] for name in kind.given])
