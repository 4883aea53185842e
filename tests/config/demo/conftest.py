"""The demo shop, loaded once for this folder, in a transaction that is rolled back in the end."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime

import pytest
from django.db import transaction

from config.demo.calendar import Calendar
from config.demo.loading import load_demo_shop, shop_calendar
from config.demo.rows import Load
from core.imports.merge import Tally
from core.tenancy.models import Tenant
from tests.config.demo.oracle import Oracle, read_oracle

AT = datetime(2026, 3, 4, 9, 30, tzinfo=UTC)


class Silence:
    """Progress that nobody watches."""

    def counted(self, label, rows, total):
        return iter(rows)

    def finished(self, label: str, tally: Tally) -> None:
        pass


@dataclass(frozen=True)
class DemoShop:
    """The loaded shop: 4 March 2026 is the 20 November 2017 of the data."""

    tenant: Tenant
    load: Load
    calendar: Calendar
    at: datetime

    def load_again(self, *, at: datetime, today: date = date(2017, 11, 20)) -> Load:
        return load_demo_shop(
            tenant_name="demo",
            calendar=shop_calendar(day_of_data=today, today=at.date(), shifts=True),
            at=at,
            progress=Silence(),
        )


@pytest.fixture(scope="package")
def oracle() -> Oracle:
    return read_oracle()


@pytest.fixture(scope="package")
def loaded(django_db_setup: None, django_db_blocker: pytest.FixtureRequest) -> Iterator[DemoShop]:
    with django_db_blocker.unblock(), transaction.atomic():
        calendar = shop_calendar(day_of_data=date(2017, 11, 20), today=AT.date(), shifts=True)
        load = load_demo_shop(tenant_name="demo", calendar=calendar, at=AT, progress=Silence())
        yield DemoShop(Tenant.objects.get(name="demo"), load, calendar, AT)
        transaction.set_rollback(True)


@pytest.fixture
def shop(loaded: DemoShop, db: None) -> DemoShop:
    """The demo shop; what a test writes to it is taken back."""
    return loaded
