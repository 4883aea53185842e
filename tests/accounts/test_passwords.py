"""Hashing slots: everything that hashes a password goes through them, and says so when none is free."""

import ast
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.contrib.auth.hashers import make_password
from django.http import HttpRequest
from django.test import Client
from django.urls import reverse

from accounts import passwords
from accounts.identity.models import AttemptCounter
from accounts.models import Customer, User, users
from accounts.passwords import HashingSlots, hash_password, is_password
from core.errors import Overloaded
from core.tenancy.models import Tenant
from tests.conftest import Api
from tests.factories.accounts import CustomerFactory, UserFactory

ROOT = Path(__file__).resolve().parents[2]
SIGNUP, LOGIN = "/customer/acme/signup", "/customer/acme/login"
GOOD = "correct horse battery"
BUSY = "Too many passwords are being checked at the moment; try again in a second."


def held_elsewhere(slots: HashingSlots) -> tuple[threading.Thread, threading.Event]:
    """Take a slot in another thread, until the event."""
    taken, done = threading.Event(), threading.Event()

    def hold() -> None:
        with slots.take():
            taken.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait()
    return thread, done


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The one slot of this process is taken, for as long as the test."""
    slots = HashingSlots(1, longest_wait=0.01)
    for module in (passwords, users):
        monkeypatch.setattr(module, "hashing_slots", slots)
    thread, done = held_elsewhere(slots)
    yield
    done.set()
    thread.join()


def test_slot_is_free_again_afterwards_whatever_happened():
    slots = HashingSlots(1, longest_wait=0)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), slots.take():
            raise ZeroDivisionError
    with slots.take():
        pass


def test_thread_that_holds_a_slot_needs_no_second():
    slots = HashingSlots(1, longest_wait=0)
    with slots.take(), slots.take():
        pass
    thread, done = held_elsewhere(slots)
    with pytest.raises(Overloaded), slots.take():
        pass
    done.set()
    thread.join()


def test_who_waits_gets_the_slot_that_becomes_free():
    slots = HashingSlots(1, longest_wait=60)
    thread, done = held_elsewhere(slots)
    threading.Timer(0.05, done.set).start()
    with slots.take():
        pass
    thread.join()


def test_as_many_wait_as_there_are_slots_and_no_more():
    slots = HashingSlots(1, longest_wait=60)
    holder, done = held_elsewhere(slots)
    waiter = threading.Thread(target=lambda: slots.take().__enter__())
    waiter.start()
    while slots._queue._value:  # until the other thread waits
        pass
    with pytest.raises(Overloaded), slots.take():  # at once: the wait would last a minute
        pass
    done.set()
    holder.join()
    waiter.join()


def test_hash_is_verified():
    assert is_password("secret", hash_password("secret"))
    assert not is_password("other", hash_password("secret"))


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (SIGNUP, {"email": "jane@example.com", "password": GOOD}),
        (LOGIN, {"email": "john@example.com", "password": GOOD}),
        (LOGIN, {"email": "nobody@example.com", "password": GOOD}),
    ],
)
def test_busy_process_answers_503_and_counts_no_failure(
    anonymous_api: Api, tenant: Tenant, busy: None, path: str, body: dict[str, str]
) -> None:
    CustomerFactory(tenant=tenant, email="john@example.com", password=make_password(GOOD))
    response = anonymous_api.post(path, body)
    assert (response.status_code, response["Retry-After"]) == (503, "1")
    assert response.json() == {"status": 503, "type": "service_unavailable", "message": BUSY}
    assert Customer.objects.count() == 1
    assert set(AttemptCounter.objects.values_list("attempts", flat=True)) == {0}


def test_customer_with_a_password_is_not_created_by_a_busy_process(
    service_api: Callable[..., Api], tenant: Tenant, busy: None
) -> None:
    body = {"id": "C1", "contactEmail": "jane@example.com", "password": GOOD}
    assert service_api("customer.customer_manage").post("/customer/acme/customers", body).status_code == 503
    assert not Customer.objects.exists()


@pytest.mark.parametrize("username", ["staff", "nobody"])
def test_admin_login_says_that_the_process_is_busy(db: None, username: str, request: HttpRequest) -> None:
    UserFactory(username="staff", is_superuser=True, password=make_password(GOOD))
    request.getfixturevalue("busy")
    response = Client().post("/admin/login/", {"username": username, "password": GOOD})
    assert response.status_code == 200
    assert response.context["form"].non_field_errors() == [BUSY]
    assert set(AttemptCounter.objects.values_list("attempts", flat=True)) == {0}


def test_new_password_in_the_admin_is_not_set_by_a_busy_process(operator_browser: Client, busy: None) -> None:
    user = User.objects.get(username="operator")
    address = reverse("admin:auth_user_password_change", args=[user.pk])
    entries = {"password1": GOOD, "password2": GOOD, "usable_password": "true", "set-password": "1"}
    response = operator_browser.post(address, entries, follow=True)
    assert [str(message) for message in response.context["messages"]] == [BUSY]
    user.refresh_from_db()
    assert not user.password.startswith("md5")


def test_own_password_in_the_admin_is_not_changed_by_a_busy_process(
    operator_browser: Client, request: HttpRequest
) -> None:
    user = User.objects.get(username="operator")
    user.set_password("before")
    user.save()
    operator_browser.force_login(user)
    request.getfixturevalue("busy")
    entries = {"old_password": "before", "new_password1": GOOD, "new_password2": GOOD}
    response = operator_browser.post("/admin/password_change/", entries, follow=True)
    assert [str(message) for message in response.context["messages"]] == [BUSY]
    assert passwords.check_password("before", User.objects.get(pk=user.pk).password)


def test_staff_are_not_added_by_a_busy_process(operator_browser: Client, busy: None) -> None:
    entries = {"username": "new", "usable_password": "true", "password1": GOOD, "password2": GOOD}
    response = operator_browser.post(reverse("admin:accounts_user_add"), entries)
    assert response.context["adminform"].form.non_field_errors() == [BUSY]
    assert not User.objects.filter(username="new").exists()


def test_nothing_hashes_beside_the_slots():
    """Only the demo shop does, which one command loads."""
    beside = set()
    for path in ROOT.glob("*/**/*.py"):
        package = path.relative_to(ROOT).parts[0]
        if package not in {"core", "accounts", "catalog", "segments", "coupons", "config"}:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == "django.contrib.auth.hashers":
                beside.add(str(path.relative_to(ROOT)))
    assert beside == {"accounts/passwords.py", "config/demo/people.py", "config/demo/shop.py"}
