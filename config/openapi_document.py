"""`GET /openapi.json`: the OpenAPI document, made once in a process."""

import threading
from functools import cache

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.utils.cache import patch_response_headers
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer

DAY = 86_400  # seconds; the document changes only with the code

_making = threading.Lock()


def openapi_document(request: HttpRequest) -> HttpResponse:
    """Answer the document, whatever parameters the address has.

    To make it takes a second of the processor, which no stranger may ask for again and again, and the
    generator loads parts of itself in ways that two threads at a time break.
    """
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET", "HEAD"])
    with _making:
        content = _document()
    response = HttpResponse(content, content_type=OpenApiJsonRenderer.media_type)
    patch_response_headers(response, DAY)
    return response


@cache
def _document() -> bytes:
    document = SchemaGenerator().get_schema(request=None, public=True)
    return bytes(OpenApiJsonRenderer().render(document, renderer_context={}))
