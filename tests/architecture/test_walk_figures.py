"""A request or an import enters no more files, and moves no more often, than docs/architecture.md says."""

import re
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from types import FrameType

import pytest
from django.conf import settings
from django.core.management import call_command
from django.http import HttpResponse

from accounts.models import Customer, Site
from core.api import conditional
from core.api.conditional import body_of
from tests.conftest import Api
from tests.factories.catalog import CategoryFactory
from tests.factories.coupons import CouponFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory

FIGURES = re.compile(r"\*\*(?P<walk>[^*]+)\*\*, `.*: (?P<files>\d+) files, (?P<moves>\d+) moves")
TESTS = str(Path(settings.BASE_DIR, "tests"))
INSTALLED = str(Path(settings.BASE_DIR, ".venv"))
SEGMENTS = "/customer-segment/acme/segments"
ORDER = {
    "customerNumber": "C1",
    "orderTotal": {"amount": 10, "currency": "USD"},
    "discount": {"amount": 0.1, "currency": "USD"},
}


def walked(run: Callable[[], object]) -> list[str]:
    """Return the project's files in the order in which a call enters them."""
    entered: list[str] = []

    def note(frame: FrameType, event: str, argument: object) -> None:
        file = frame.f_code.co_filename
        if event != "call" or not file.startswith(str(settings.BASE_DIR)):
            return
        if not file.startswith((TESTS, INSTALLED)) and entered[-1:] != [file]:
            entered.append(file)

    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(None)
    return entered


def answered(request: Callable[[], HttpResponse]) -> Callable[[], None]:
    """Return the request as something that fails where it is refused."""

    def run() -> None:
        assert request().status_code < 300

    return run


def test_requests_and_imports_walk_as_the_page_says(
    transactional_db: None,
    monkeypatch: pytest.MonkeyPatch,
    api: Api,
    customer_api: Callable[..., Api],
    customer: Customer,
    site: Site,
    tmp_path: Path,
):
    monkeypatch.setattr(conditional, "body_of", body_of)  # which tests compare with what it keeps
    segment = SegmentFactory(site=site, external_id="walk")
    CustomerAssignmentFactory(segment=segment, customer=customer)
    items = ItemAssignmentFactory.create_batch(2, segment=segment)
    rows = [{"id": item.product.external_id} for item in items]
    CouponFactory(tenant=site.tenant, code="WALK")
    CategoryFactory(tenant=site.tenant, external_id="floral", name={"en": "Floral"})
    shopper = customer_api(customer)
    file = tmp_path / "rows.csv"
    file.write_text("segmentId,type,id\n" + "".join(f"walk,PRODUCT,{row['id']}\n" for row in rows))
    requests = {
        "A shopper's items": lambda: shopper.get(f"{SEGMENTS}/items?q=type:PRODUCT"),
        "One segment": lambda: api.get(f"{SEGMENTS}/walk"),
        "Up to 200 items of a segment": lambda: api.put(f"{SEGMENTS}/walk/items/PRODUCT/bulk", rows),
        "A redemption": lambda: api.post("/coupon/acme/coupons/WALK/redemptions", ORDER),
        "A change of a category": lambda: api.patch(
            "/category/acme/categories/floral", {"position": 3, "metadata": {}}
        ),
    }
    walks: dict[str, Callable[[], object]] = {
        **{name: answered(request) for name, request in requests.items()},
        "The rows of a file": lambda: call_command(
            "upsert_segment_items", file, "--tenant", "acme", stdout=StringIO(), stderr=StringIO()
        ),
    }
    said = {
        found["walk"]: (int(found["files"]), int(found["moves"]))
        for found in FIGURES.finditer(Path(settings.BASE_DIR, "docs/architecture.md").read_text())
    }
    assert said.keys() == walks.keys()
    entered = {}
    for name, run in walks.items():
        run()
        run()  # what is composed or read once is kept now
        entered[name] = walked(run)
    found = {name: (len(set(files)), len(files) - 1) for name, files in entered.items()}
    longer = {
        name: figures
        for name, figures in found.items()
        if any(counted > allowed for counted, allowed in zip(figures, said[name], strict=True))
    }
    assert longer == {}
