"""The page /metrics, and the dashboard and the alerts that are made of it."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from django.db import OperationalError
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

import config.metrics
import config.server.gauges  # noqa: F401 -- defines the families of a web worker
from config.server.metrics_folder import VARIABLE, make_metrics_folder
from core.background.models import Job, TaskState, Worker
from core.imports.models import ImportRun, ImportState
from core.observation.metrics import registered_readings
from events.models import FeedPosition
from segments.models import Rule
from tests.factories.accounts import TenantFactory
from tests.factories.segments import SegmentFactory

TOKEN = "a-token-of-the-metrics"
ROOT = Path(__file__).resolve().parents[2]
DASHBOARD = json.loads((ROOT / "deploy/grafana.json").read_text())
ALERTS = yaml.safe_load((ROOT / "deploy/alerts.yml").read_text())
FAMILY = re.compile(r"\bsegments_\w+")


@pytest.fixture(autouse=True)
def token(settings) -> None:
    settings.METRICS_TOKEN = TOKEN


def scrape() -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Return all samples of the page by name and labels."""
    response = Client().get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert (response.status_code, response["Cache-Control"]) == (200, "no-store")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(response.content.decode())
        for sample in family.samples
    }


@pytest.mark.parametrize("header", [None, "Bearer other", f"Basic {TOKEN}", "Bearer "])
def test_another_token_is_refused(header: str | None) -> None:
    response = Client().get("/metrics", headers={"Authorization": header} if header else {})
    assert response.status_code == 401
    assert b"segments_" not in response.content


def test_without_a_token_there_is_no_page(settings) -> None:
    settings.METRICS_TOKEN = ""
    response = Client().get("/metrics", headers={"Authorization": "Bearer "})
    assert (response.status_code, response.json()["message"]) == (
        404,
        "Set METRICS_TOKEN to have metrics here.",
    )


def test_readings_say_what_the_database_holds(db: None, now) -> None:
    tenant = TenantFactory()
    Worker.objects.create(name="host:1", started_at=now, seen_at=now - timedelta(seconds=90))
    TaskState.objects.create(name="purge jobs", due_at=now - timedelta(minutes=5))
    TaskState.objects.create(name="purge runs", due_at=now + timedelta(minutes=5), error="KeyError")
    Job.objects.create(kind="member_operation", state="failed", due_at=now)
    run = {"tenant": tenant, "kind": "customers", "mode": "upsert", "state": ImportState.FINISHED}
    ImportRun.objects.create(**run, started_at=now, created=5, refused=2)
    ImportRun.objects.create(**run, started_at=now - timedelta(hours=1), created=1)
    ImportRun.objects.create(**run, started_at=now - timedelta(hours=25), created=100)
    samples = scrape()

    def of(name: str, **labels: str) -> float:
        return samples[f"segments_{name}", tuple(sorted(labels.items()))]

    assert of("worker_heartbeat_age_seconds") == 90
    assert of("worker_lag_seconds") == 300
    assert of("worker_failing_tasks") == 1
    assert (of("jobs", state="failed"), of("jobs", state="queued")) == (1, 0)
    assert of("import_rows", kind="customers", outcome="created") == 6
    assert of("import_rows", kind="customers", outcome="refused") == 2
    assert of("imports", state="finished") == 2
    assert of("category_trees_unsound") == 0
    assert of("journal_default_partition_used") in (0, 1)
    assert of("database_connections_limit") > of("database_connections", state="active") >= 1
    assert {value for (name, _), value in samples.items() if name == "segments_readings_failed"} == {0}


def test_readings_of_rules_and_webhooks(db: None, now) -> None:
    segment = SegmentFactory()
    Rule.objects.create(
        tenant=segment.tenant, segment=segment, q="x:1", state="FAILED", drift=3, milliseconds=45_000
    )
    FeedPosition.objects.create(tenant=segment.tenant, read_at=now - timedelta(seconds=40))
    samples = scrape()
    expected = {
        "rule_drift_members": 3,
        "rules_slow": 1,
        "rule_slowest_seconds": 45,
        "feed_lag_seconds": 40,
        "delivery_lag_seconds": 0,
        "deliveries_waiting": 0,
    }
    assert {name: samples[f"segments_{name}", ()] for name in expected} == expected
    assert samples["segments_rules", (("state", "FAILED"),)] == 1


def test_a_database_that_is_away_leaves_out_its_readings_only(db: None, monkeypatch) -> None:
    def fail(at: object) -> Iterator[object]:
        raise OperationalError("connection refused")

    sources = {**registered_readings(), "background": fail}
    monkeypatch.setattr(config.metrics, "registered_readings", lambda: sources)
    samples = scrape()
    assert samples["segments_readings_failed", (("source", "background"),)] == 1
    assert samples["segments_readings_failed", (("source", "database"),)] == 0
    assert ("segments_worker_lag_seconds", ()) not in samples
    assert ("segments_database_bytes", ()) in samples


def test_processes_are_added_up_and_the_ended_ones_have_no_present(db: None, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv(VARIABLE, "")
    (tmp_path / "metrics" / "999999999").mkdir(parents=True)
    folder = make_metrics_folder(tmp_path)
    assert [path.name for path in (tmp_path / "metrics").iterdir()] == [folder.name]
    process = "from core.observation.metrics import counter, gauge\n" + (
        "counter('tried', 'x').inc(2); gauge('held', 'x').set(3)"
    )
    for _ in range(2):
        subprocess.run([sys.executable, "-c", process], cwd=ROOT, check=True)
    samples = scrape()
    assert samples["segments_tried_total", ()] == 4
    assert ("segments_held", ()) not in samples


def families(db_samples: dict) -> set[str]:
    """Return the names of all samples, also of families with labels that nothing has happened to yet."""
    named = {name for name, _ in db_samples}
    text = Client().get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).content.decode()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            named |= {name}
            if kind == "histogram":
                named |= {f"{name}_{part}" for part in ("bucket", "sum", "count")}
    return named


def expressions() -> dict[str, str]:
    of_dashboard = {
        f"panel {panel['title']}: {target['expr']}": target["expr"]
        for panel in DASHBOARD["panels"]
        for target in panel.get("targets", ())
    }
    of_alerts = {
        f"alert {rule['alert']}": rule["expr"] for group in ALERTS["groups"] for rule in group["rules"]
    }
    return of_dashboard | of_alerts


def test_dashboard_and_alerts_use_metrics_that_exist_and_show_all_of_them(db: None, now) -> None:
    Worker.objects.create(name="host:1", started_at=now, seen_at=now)
    there = families(scrape())
    used = {name for text in expressions().values() for name in FAMILY.findall(text)}
    assert used - there == set()
    whole = {re.sub(r"_(bucket|sum|count)$", "", name) for name in there if not name.endswith("_created")}
    shown = {re.sub(r"_(bucket|sum|count)$", "", name) for name in used}
    assert whole - shown == set()


def test_expressions_are_balanced_and_alerts_say_what_to_do() -> None:
    for where, text in expressions().items():
        assert all(text.count(a) == text.count(b) for a, b in ("()", "{}", "[]")), where
    rules = [rule for group in ALERTS["groups"] for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert set(rule["annotations"]) == {"summary", "description"}
        assert re.fullmatch(r"\d+[smh]", rule["for"])


def test_panels_do_not_overlap() -> None:
    places = [
        (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["h"])
    ]
    assert len(places) == len(set(places))
    assert max(x for x, _ in places) < 24
