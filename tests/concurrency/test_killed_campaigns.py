"""Campaigns whose commands are killed: each code is made once, none is missing, all are exported once."""

import json
import os
import random
import signal
import time
from functools import partial
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from coupons.management.commands import generate_coupons
from coupons.models import Coupon, CouponCampaign
from coupons.operations import campaigns
from tests.concurrency.threads import in_processes, results_of
from tests.factories.accounts import TenantFactory
from tests.waiting import PATIENCE, wait_for_killed_sessions, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

CODES = 20_000  # far more than are made before the last kill
KILLS = 20


@pytest.fixture
def template(tmp_path: Path) -> Path:
    path = tmp_path / "terms.json"
    terms = {"name": "Welcome", "discountType": "PERCENT", "discountPercentage": 10}
    path.write_text(json.dumps(terms))
    return path


def generate(template: Path, **options: object) -> str:
    output = StringIO()
    named = {"campaign": "W1", "count": CODES, "prefix": "HI-", **options}
    call_command("generate_coupons", tenant="acme", template=template, stdout=output, **named)
    return output.getvalue()


def made() -> int:
    return Coupon.objects.filter(code__startswith="HI-").count()


def test_commands_that_are_killed_are_gone_on_with(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    TenantFactory(name="acme")
    monkeypatch.setattr(campaigns, "SLICE", 10)
    chance, killed = random.Random(10), 0
    while killed < KILLS:
        before = made()
        processes = in_processes(2, lambda: generate(template))
        wait_until(lambda before=before: made() >= before + 30)
        for process in processes:
            time.sleep(chance.random() / 50)
            os.kill(process.pid, signal.SIGKILL)
        for process in processes:
            process.join(PATIENCE)
            assert process.exitcode == -signal.SIGKILL  # it was at work
            killed += 1
        wait_for_killed_sessions()
        assert before + 30 <= made() < CODES
        assert made() % 10 == 0  # a slice is there as a whole or not at all

    monkeypatch.undo()
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


def export(template: Path, number: int, target: Path) -> str:
    return generate(template, campaign=f"W{number}", count=300, prefix=f"C{number}-", export=target)


def test_an_export_that_is_killed_at_any_moment_is_gone_on_with(template: Path, tmp_path: Path) -> None:
    """The file is there as a whole or not at all, and no campaign is exported twice."""
    TenantFactory(name="acme")
    chance = random.Random(20)
    targets = [tmp_path / f"codes-{number}.csv" for number in range(KILLS)]
    for number, target in enumerate(targets):
        [process] = in_processes(1, partial(export, template, number, target))
        wait_until(lambda target=target: any(tmp_path.glob(f"{target.name}*")))
        time.sleep(chance.random() / 100)
        os.kill(process.pid, signal.SIGKILL)
        process.join(PATIENCE)
        wait_for_killed_sessions()
        if not target.exists():
            export(template, number, target)
        codes = target.read_text().split()[1:]
        made = Coupon.objects.filter(code__startswith=f"C{number}-").values_list("code", flat=True)
        assert (len(codes), sorted(codes)) == (300, sorted(made))
        with pytest.raises(CommandError, match="were exported at"):
            export(template, number, tmp_path / "again.csv")
    assert set(tmp_path.iterdir()) == {template, *targets}


@pytest.mark.parametrize(("owner", "name"), [(generate_coupons, "write_durably"), (Path, "rename")])
def test_an_export_that_ends_before_or_after_it_is_stored_is_gone_on_with(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: object, name: str
) -> None:
    TenantFactory(name="acme")
    target = tmp_path / "codes.csv"

    def killed(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, killed)
        with pytest.raises(KeyboardInterrupt):
            export(template, 1, target)
    assert not target.exists()
    export(template, 1, target)
    assert len(target.read_text().split()) == 301
    assert set(tmp_path.iterdir()) == {template, target}
