"""Bodies of a length that is not told before, as .NET's HttpClient sends JSON: in chunks."""

from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any, TypeAlias

WsgiApplication: TypeAlias = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

BODYLESS = frozenset({"GET", "HEAD", "OPTIONS"})


class MeasuredBodies:
    """Tells the application the length of every body; without one Django takes a body for empty.

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
