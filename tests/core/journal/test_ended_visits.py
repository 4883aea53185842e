"""Who ended a session, of a shopper or of their own, is in the history."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.db.models import QuerySet
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.identity.models import Session
from accounts.identity.scopes import CUSTOMER_MANAGE
from core.journal.models import Change
from core.tenancy.models import Tenant
from tests.conftest import Api
from tests.factories.accounts import CustomerFactory, SessionFactory

pytestmark = pytest.mark.usefixtures("real_time")
ACTIVITY = reverse("admin:journal_change_changelist")


def text_of(browser: Client, language: str = "en") -> str:
    return browser.get(ACTIVITY, headers={"Accept-Language": language}).content.decode()


def test_a_session_that_staff_end_has_a_line(staff_browser: Client, tenant: Tenant) -> None:
    shopper = CustomerFactory(tenant=tenant)
    sessions = [
        SessionFactory(client__tenant=tenant, customer=shopper),
        SessionFactory(client__tenant=tenant),
    ]
    Session.objects.update(expires_at=timezone.now() + timedelta(days=2), context={"site": "main"})
    assert not Change.objects.filter(object="session").exists()
    chosen = {"action": "revoke", "_selected_action": [session.pk for session in sessions]}
    page = staff_browser.post(reverse("admin:identity_session_changelist"), chosen, follow=True)
    assert "Revoked 2 sessions." in page.content.decode()
    rows = Change.objects.filter(object="session").order_by("key")
    assert list(rows.values_list("kind", "external_id", "owner_key", "actor_type", "actor_id")) == [
        ("updated", str(sessions[0].session_id), shopper.pk, "staff", "staff"),
        ("updated", str(sessions[1].session_id), None, "staff", "staff"),
    ]
    assert [list(row.after) for row in rows] == [["revoked_at"], ["revoked_at"]]
    assert text_of(staff_browser).count("ended the session") == 2
    assert text_of(staff_browser, "de").count("Sitzung beendet") == 2
    Session.objects.all().delete()  # as old ones are
    assert rows.count() == 2


def test_sessions_of_an_erased_customer_keep_no_id(
    staff_browser: Client, tenant: Tenant, service_api: Callable[..., Api]
) -> None:
    shopper = CustomerFactory(tenant=tenant, external_id="C1")
    session = SessionFactory(client__tenant=tenant, customer=shopper)
    Session.objects.update(expires_at=timezone.now() + timedelta(days=2), context={"site": "main"})
    chosen = {"action": "revoke", "_selected_action": [session.pk]}
    staff_browser.post(reverse("admin:identity_session_changelist"), chosen)
    assert Change.objects.filter(object="session", external_id=str(session.session_id)).exists()
    erased = service_api(CUSTOMER_MANAGE).delete("/customer/acme/customers/C1", dataErasure="true")
    assert erased.status_code == 202
    assert Change.objects.filter(object="session").exists()
    assert not Change.objects.filter(external_id=str(session.session_id)).exists()


def test_a_logout_ends_the_session_while_somebody_holds_the_row(
    staff_browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def held(*arguments: object, **values: object) -> int:
        raise OperationalError

    monkeypatch.setattr(QuerySet, "update", held)
    staff_browser.post(reverse("admin:logout"))
    monkeypatch.undo()
    assert staff_browser.get(reverse("admin:index")).status_code == 302


def test_staff_who_log_out_have_a_line(staff_browser: Client, operator_browser: Client) -> None:
    staff_browser.post(reverse("admin:logout"))
    [row] = Change.objects.filter(object="staff-user", kind="updated")
    assert (row.external_id, row.actor_type, row.actor_id) == ("staff", "staff", "staff")
    assert list(row.after) == ["last_logout"]
    assert "logged out" in text_of(operator_browser)
    assert "abgemeldet" in text_of(operator_browser, "de")
