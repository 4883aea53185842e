"""The pages of one-time passwords and the provider's button, in a headless Chromium."""

import time
from pathlib import Path
from typing import Any

import pytest
from django_otp.oath import TOTP
from django_otp.plugins.otp_totp.models import TOTPDevice
from playwright.sync_api import Page, expect

from accounts.models import User
from accounts.totp.models import RecoveryCodes
from tests.browser.conftest import browser, log_in, merchandiser, page

__all__ = ["browser", "merchandiser", "page"]  # fixtures
pytestmark = pytest.mark.django_db(transaction=True)


def present_password(user: User) -> str:
    device = TOTPDevice.objects.filter(user=user).latest("pk")
    made = TOTP(device.bin_key, device.step, device.t0, device.digits, device.drift)
    made.time = time.time()
    return f"{made.token():06}"


def test_staff_set_up_a_device_and_come_back_with_a_recovery_code(
    page: Page, merchandiser: User, settings: Any, tmp_path: Path
) -> None:
    settings.TOTP_REQUIRED = True
    page.goto("/admin/login/")
    expect(page.get_by_role("link", name="Log in with Example ID")).to_be_visible()
    page.screenshot(path=tmp_path / "login.png", full_page=True)

    log_in(page, merchandiser.username)
    expect(page.get_by_alt_text("The secret as a QR code")).to_be_visible()
    assert page.get_by_alt_text("The secret as a QR code").evaluate("image => image.naturalWidth") > 0
    page.get_by_label("One-time password").fill("000")
    page.screenshot(path=tmp_path / "set-up.png", full_page=True)
    page.get_by_label("One-time password").fill(present_password(merchandiser))
    page.get_by_role("button", name="Turn on").click()

    expect(page.locator(".recovery-codes code")).to_have_count(10)
    code = page.locator(".recovery-codes code").first.inner_text()
    page.screenshot(path=tmp_path / "codes.png", full_page=True)
    page.get_by_role("link", name="I have kept them").click()
    page.get_by_role("link", name="One-time passwords").click()
    expect(page.get_by_text("You have 10 of them left.")).to_be_visible()
    page.screenshot(path=tmp_path / "left.png", full_page=True)

    with page.expect_navigation():
        page.get_by_role("button", name="Log out").click()
    log_in(page, merchandiser.username)
    page.get_by_label("One-time password").fill("aaaa-bbbb-cccc-dddd")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text("neither the present one-time password")).to_be_visible()
    page.screenshot(path=tmp_path / "wrong.png", full_page=True)
    for kind in (
        RecoveryCodes,
        TOTPDevice,
    ):  # a second attempt would have to wait, and the clock stands still
        kind.objects.update(throttling_failure_count=0, throttling_failure_timestamp=None)
    page.get_by_label("One-time password").fill(code)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text("You used a recovery code; 9 are left.")).to_be_visible()
    page.screenshot(path=tmp_path / "used.png", full_page=True)
