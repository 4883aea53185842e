"""Traces and error reports: what they send, and that they cost nothing where they are not asked for."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from config import tracing
from core.sql.statements import statements

ROOT = Path(__file__).resolve().parents[2]
LOADED = """
import json, sys
import config.wsgi
print(json.dumps(sorted({name.split('.')[0] for name in sys.modules} & {'sentry_sdk', 'opentelemetry'})))
"""
REPORTS = """
import json, logging
import django
django.setup()
import sentry_sdk
from sentry_sdk.transport import Transport

class Kept(Transport):
    events = []
    def capture_envelope(self, envelope):
        self.events += [item.get_event() for item in envelope.items if item.get_event()]

sentry_sdk.get_client().transport = Kept()
from django.test import RequestFactory
from core.observation.requests import ObservedRequests

def fail(request):
    secret = "hunter2-secret"
    try:
        raise ValueError("refused Bearer " + secret)
    except ValueError as error:
        sentry_sdk.capture_exception(error)
        logging.getLogger("core").error("password=%s", secret)
    from django.http import HttpResponse
    return HttpResponse()

request = RequestFactory().post(
    "/coupon/acme/coupons/hunter2-secret?refreshToken=hunter2-secret", {"password": "hunter2-secret"},
    headers={"Authorization": "Bearer hunter2-secret", "X-Request-Id": "r-1"},
)
ObservedRequests(fail)(request)
print(json.dumps(Kept.events, default=str))
"""


def run(script: str, **environ: str) -> object:
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings", "DEBUG": "1", **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_extras_that_nobody_asks_for_are_not_even_imported() -> None:
    assert run(LOADED) == []


def test_an_endpoint_for_traces_loads_opentelemetry() -> None:
    assert run(LOADED, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9") == ["opentelemetry"]


def test_a_report_has_the_stack_and_no_secret() -> None:
    events = run(REPORTS, SENTRY_DSN="http://key@127.0.0.1:9/1")
    assert len(events) == 2
    failed = events[0]["exception"]["values"][0]
    assert (failed["type"], failed["value"]) == ("ValueError", "refused Bearer (removed)")
    assert [frame["function"] for frame in failed["stacktrace"]["frames"]] == ["fail"]
    assert events[0]["tags"]["request_id"] == "r-1"
    assert events[0]["transaction"] == "POST (none)"
    for event in events:
        for frame in (
            event.get("exception", {}).get("values", [{}])[0].get("stacktrace", {}).get("frames", [])
        ):
            frame.pop("context_line", None)
            frame.pop("pre_context", None)
            frame.pop("post_context", None)
        assert "hunter2" not in json.dumps(event)


@pytest.fixture
def spans(monkeypatch) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "tracer_provider", lambda: provider)
    return exporter


def test_a_request_is_a_span_below_the_one_of_the_caller(spans: InMemorySpanExporter) -> None:
    def respond(request: HttpRequest) -> HttpResponse:
        statements.sent += 2
        return HttpResponse(status=503)

    traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    request = RequestFactory().get("/coupon/acme/coupons/GOLD?x=secret", headers={"traceparent": traceparent})
    tracing.TracedRequests(respond)(request)
    [span] = spans.get_finished_spans()
    assert (span.name, span.status.status_code.name) == ("GET (none)", "ERROR")
    assert f"{span.context.trace_id:032x}" == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert f"{span.parent.span_id:016x}" == "00f067aa0ba902b7"
    assert span.attributes["db.statements"] == 2
    assert "GOLD" not in span.to_json()
    assert "secret" not in span.to_json()
