"""How bodies pass between the web server and Django."""

from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any, TypeAlias

from django.http import HttpResponse

WsgiApplication: TypeAlias = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

BODYLESS = frozenset({"GET", "HEAD", "OPTIONS"})


class MeasuredBodies:
    """Tells the application the length of every body; without one Django takes a body for empty.

    .NET's HttpClient sends JSON in chunks, without one.
    Of a longer body than `most` bytes one byte more than those is kept, so that it is refused as too long.
    Only servers that say where a body ends (`wsgi.input_terminated`) are asked for one without a length.
    """

    def __init__(self, application: WsgiApplication, *, most: int) -> None:
        self.application = application
        self.most = most

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if (
            environ["REQUEST_METHOD"] not in BODYLESS
            and not environ.get("CONTENT_LENGTH")
            and environ.get("wsgi.input_terminated")
        ):
            body = environ["wsgi.input"].read(self.most + 1)
            environ["wsgi.input"] = BytesIO(body)
            environ["CONTENT_LENGTH"] = str(len(body))
        return self.application(environ, start_response)


class WholeAnswers:
    """Hands an answer that is complete to the server as a list, which granian sends as it is.

    Of anything else it asks for one piece after the other while it sends, and wakes threads for each. A
    large answer is left to that: a thread that waits until it is sent makes no second one meanwhile.
    """

    def __init__(self, application: WsgiApplication, *, most: int = 262_144) -> None:
        self.application = application
        self.most = most

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        answer = self.application(environ, start_response)
        if not isinstance(answer, HttpResponse) or len(answer.content) > self.most:
            return answer
        content = answer.content
        answer.close()
        return [content]
