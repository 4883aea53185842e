"""Takes the pictures of docs/merchandisers.md from the demo shop that `make run` serves."""

import os
import sys
from pathlib import Path

from playwright.sync_api import Error, Page, sync_playwright

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "pictures"
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
SHOP = f"http://127.0.0.1:{os.environ.get('PORT', '8000')}"
LARGEST = 100_000  # bytes of a picture
WIDTH, HEIGHT = 1280, 820
SCALE = 0.7  # which keeps them small


def take(page: Page, name: str, height: int = HEIGHT) -> None:
    """Keep the upper part of the page as a picture."""
    page.wait_for_load_state("networkidle")
    page.set_viewport_size({"width": WIDTH, "height": height})
    path = FOLDER / f"{name}.png"
    page.screenshot(path=path, scale="device")
    if path.stat().st_size > LARGEST:
        sys.exit(f"{path.name} has {path.stat().st_size:,} bytes; a picture may have {LARGEST:,}.")


def follow(page: Page, name: str) -> None:
    """Open a link of the segment's page."""
    page.get_by_role("link", name=name, exact=True).first.click()


def take_all(page: Page) -> None:
    page.goto(f"{SHOP}/admin/")
    page.get_by_label("Username").fill("merchandiser")
    page.get_by_label("Password").fill("merchandiser")
    page.get_by_role("button", name="Log in").click()
    take(page, "start", 1000)
    page.locator("#panel-members a", has_text="Campaign 18").click()
    take(page, "segment", 900)
    segment = page.url
    follow(page, "Members")
    take(page, "members", 620)
    page.goto(segment)
    follow(page, "Add members")
    page.locator("dialog[open] textarea").fill(
        "household-2@example.com, household-3@example.com, household-4@example.com, 5, 6, 7, 8\n4711"
    )
    page.locator("dialog[open] [name=_preview]").click()
    take(page, "paste", 620)
    page.goto(segment)
    follow(page, "View as customer")
    page.locator("#content-main p:not(.datetime) a").first.click()
    take(page, "customer", 1000)
    page.goto(segment)
    follow(page, "Delete")
    take(page, "delete", 620)
    page.goto(f"{SHOP}/admin/journal/change/?what=segment")
    take(page, "activity", 620)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        try:
            viewport = {"width": WIDTH, "height": HEIGHT}
            take_all(browser.new_page(viewport=viewport, locale="en", device_scale_factor=SCALE))
        except Error as error:
            sys.exit(f"The pictures were not taken. Does the demo shop run at {SHOP}? {error.message}")


if __name__ == "__main__":
    main()
