"""A headless Chromium on the admin of a running server."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission
from django.db import connections
from playwright.sync_api import Browser, Page, expect, sync_playwright
from pytest_django.live_server_helper import LiveServer

from accounts.models import User
from core.tenancy.models import Tenant
from tests.factories.accounts import UserFactory

# Playwright's loop runs in this thread, so Django takes each of our queries for one from asynchronous code.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
PASSWORD = "a-password-for-tests"
PATIENCE = 240_000  # milliseconds; a busy machine is no fault of the page
POLICY = "Content Security Policy"  # in what Chromium prints when it blocks something
expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The browser of all tests; they fail, saying how to install it, where there is none."""
    if not Path(CHROMIUM).exists():
        pytest.fail(
            f"There is no Chromium at {CHROMIUM}. Install it (on Debian: apt-get install -y chromium), or let"
            " the environment variable CHROMIUM name one.",
            pytrace=False,
        )
    # While its loop runs, this thread has other connections: none may stay behind, idle and unseen.
    connections.close_all()
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, timeout=PATIENCE)
        yield found
        found.close()
        connections.close_all()


@pytest.fixture
def page(browser: Browser, live_server: LiveServer, tmp_path: Path) -> Iterator[Page]:
    """A page of a fresh browser profile, whose addresses begin at the server.

    Fails on errors of scripts, and on what the Content-Security-Policy has blocked.
    """
    context = browser.new_context(base_url=live_server.url, viewport={"width": 1300, "height": 900})
    context.set_default_timeout(PATIENCE)
    found = context.new_page()
    errors: list[str] = []
    found.on("pageerror", lambda error: errors.append(str(error)))
    found.on("console", lambda message: errors.append(message.text) if POLICY in message.text else None)
    yield found
    found.screenshot(path=tmp_path / "last.png", full_page=True)
    context.close()
    assert errors == []


@pytest.fixture
def merchandiser(tenant: Tenant) -> User:
    """Somebody who may curate segments, and look at the shop around them."""
    user = UserFactory(username="merchandiser", tenant=tenant)
    user.set_password(PASSWORD)
    user.save()
    curated = ["segment", "customerassignment", "itemassignment"]
    seen = ["customer", "legalentity", "contactassignment", "site", "product", "category"]
    codes = [f"{action}_{model}" for model in curated for action in ("view", "add", "change", "delete")]
    user.user_permissions.set(
        Permission.objects.filter(codename__in=codes + [f"view_{name}" for name in seen])
    )
    return user


def log_in(page: Page, username: str) -> None:
    """Log in with the password of the tests, and wait for the start page: to leave before would undo it."""
    page.goto("/admin/")
    page.locator("#id_username").fill(username)
    page.locator("#id_password").fill(PASSWORD)
    with page.expect_navigation(wait_until="load"):
        page.locator("#id_password").press("Enter")


@pytest.fixture
def working_page(page: Page, merchandiser: User) -> Page:
    """A page on which the merchandiser has just logged in."""
    log_in(page, merchandiser.username)
    return page
