"""Campaigns whose commands are killed: each code is made once, none is missing, all are exported once."""

import json
import os
import random
import signal
import time
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from coupons.models import Coupon, CouponCampaign
from coupons.operations import campaigns
from tests.concurrency.threads import in_processes, results_of
from tests.factories.accounts import TenantFactory
from tests.waiting import PATIENCE, wait_for_killed_sessions, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

CODES = 600


@pytest.fixture
def template(tmp_path: Path) -> Path:
    path = tmp_path / "terms.json"
    terms = {"name": "Welcome", "discountType": "PERCENT", "discountPercentage": 10}
    path.write_text(json.dumps(terms))
    return path


def generate(template: Path, **options: object) -> str:
    output = StringIO()
    call_command(
        "generate_coupons",
        tenant="acme",
        campaign="W1",
        count=CODES,
        prefix="HI-",
        template=template,
        stdout=output,
        **options,
    )
    return output.getvalue()


def made() -> int:
    return Coupon.objects.filter(code__startswith="HI-").count()


def test_commands_that_are_killed_are_gone_on_with(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    TenantFactory(name="acme")
    monkeypatch.setattr(campaigns, "SLICE", 10)
    chance = random.Random(10)
    for _ in range(10):  # two processes each
        before = made()
        processes = in_processes(2, lambda: generate(template))
        wait_until(lambda before=before: made() >= min(before + 30, CODES))
        for process in processes:
            time.sleep(chance.random() / 50)
            os.kill(process.pid, signal.SIGKILL)
        for process in processes:
            process.join(PATIENCE)
        wait_for_killed_sessions()
        assert made() >= min(before + 30, CODES)
        assert made() % 10 == 0  # a slice is there as a whole or not at all

    assert generate(template).endswith(f"{CODES:,} of {CODES:,} codes\n")
    assert (made(), CouponCampaign.objects.count()) == (CODES, 1)

    targets = [tmp_path / f"codes-{number}.csv" for number in range(4)]
    found = results_of([lambda target=target: generate(template, export=target) for target in targets])
    assert sum(isinstance(one, CommandError) for one in found) == 3
    [exported] = [target.read_text().split() for target in targets if target.exists()]
    assert exported[0] == "code"
    assert sorted(exported[1:]) == sorted(
        Coupon.objects.filter(code__startswith="HI-").values_list("code", flat=True)
    )
