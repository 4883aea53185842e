"""Traces for OpenTelemetry, when OTEL_EXPORTER_OTLP_ENDPOINT says where to: docs/observability.md.

Only then is this middleware in the settings, and only then is the package needed.
"""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from config.command_line import VERSION
from core.actors import REQUEST_ID_KEY
from core.observation.requests import names_of_caller, route_of
from core.sql.statements import statements

HEADERS = {"traceparent": "HTTP_TRACEPARENT", "tracestate": "HTTP_TRACESTATE"}


def tracer_provider() -> TracerProvider:
    """Return a provider that sends to the endpoint; OTEL_SERVICE_NAME and its like are read as usual."""
    provider = TracerProvider(
        resource=Resource.create({"service.name": "customer-segments", "service.version": VERSION})
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


class TracedRequests:
    """Makes each request a span, a child of the one that `traceparent` names.

    Its attributes are those of the access log: no address, no header, no body.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.tracer = tracer_provider().get_tracer("customer-segments", VERSION)
        self.propagator = TraceContextTextMapPropagator()

    def __call__(self, request: HttpRequest) -> HttpResponse:
        carrier = {name: request.META[key] for name, key in HEADERS.items() if key in request.META}
        sent = statements.sent
        with self.tracer.start_as_current_span(
            str(request.method), self.propagator.extract(carrier), trace.SpanKind.SERVER
        ) as span:
            response = self.get_response(request)
            route = route_of(request)
            tenant, client, caller = names_of_caller(request)
            span.update_name(f"{request.method} {route}")
            span.set_attributes(
                {
                    "http.request.method": str(request.method),
                    "http.route": route,
                    "http.response.status_code": response.status_code,
                    "request.id": request.META.get(REQUEST_ID_KEY, ""),
                    "db.statements": statements.sent - sent,
                    "tenant": tenant,
                    "client": client,
                    "caller": caller,
                }
            )
            if response.status_code >= 500:
                span.set_status(trace.StatusCode.ERROR)
        return response
