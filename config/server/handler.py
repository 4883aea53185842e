"""Django behind the front."""

from typing import Any
from wsgiref.types import StartResponse

from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_started
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.log import log_response

from config.server.connections import close_unusable_connection


class DirectHandler(WSGIHandler):
    """Django's WSGI handler for a front that takes the response as it is, without `start_response`.

    It spares each request what this service has no use for: a script name, URLs of its own for one request,
    and log lines of refusals, which LOGGING drops.
    """

    _middleware_chain: Any  # Django's private name

    def __call__(self, environ: dict[str, object], start_response: StartResponse) -> HttpResponseBase:
        """Answer another server than ours."""
        close_unusable_connection()
        return super().__call__(environ, start_response)

    def respond(self, environ: dict[str, object]) -> HttpResponse | StreamingHttpResponse:
        """Return the response; it has to be closed once it was sent."""
        close_unusable_connection()
        request_started.send(sender=type(self), environ=environ)
        request = self.request_class(environ)
        response = self._middleware_chain(request)
        response._resource_closers.append(request.close)
        if response.status_code >= 500:
            log_response("%s: %s", response.reason_phrase, request.path, response=response, request=request)
        return response
