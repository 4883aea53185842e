"""The WSGI environ of a request that granian describes in ASGI's terms."""

import sys
from collections.abc import Iterable
from typing import TypedDict
from urllib.parse import unquote_to_bytes

VERSIONS = {"1": "HTTP/1.0", "1.1": "HTTP/1.1", "2": "HTTP/2"}
IGNORED = "ignored"
MOST_KEYS = 500  # names of headers that are remembered; clients choose them

COMMON: dict[str, object] = {
    "GATEWAY_INTERFACE": "CGI/1.1",
    "SCRIPT_NAME": "",
    "SERVER_SOFTWARE": "Granian",
    "wsgi.errors": sys.stderr,
    "wsgi.input_terminated": True,
    "wsgi.multiprocess": True,
    "wsgi.multithread": True,
    "wsgi.run_once": False,
    "wsgi.version": (1, 0),
}

_keys = {b"content-type": "CONTENT_TYPE", b"content-length": "CONTENT_LENGTH"}


class Scope(TypedDict):
    """A request in ASGI's terms."""

    method: str
    raw_path: bytes
    query_string: bytes
    http_version: str
    scheme: str
    server: tuple[str, int]
    client: tuple[str, int]
    headers: Iterable[tuple[bytes, bytes]]


def environ_of(scope: Scope) -> dict[str, object]:
    """Return the environ, without a body yet.

    A header whose name has an underscore is left out: it would have the key of the one with a hyphen, so a
    client could pretend to be a proxy that sets `X-Forwarded-For`.
    """
    path = scope["raw_path"]
    server_name, server_port = scope["server"]
    environ = {
        **COMMON,
        "REQUEST_METHOD": scope["method"],
        "PATH_INFO": (unquote_to_bytes(path) if b"%" in path else path).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": VERSIONS.get(scope["http_version"], "HTTP/1.1"),
        "REMOTE_ADDR": scope["client"][0],
        "SERVER_NAME": server_name,
        "SERVER_PORT": str(server_port),
        "wsgi.url_scheme": scope["scheme"],
    }
    known = _keys.get
    for name, value in scope["headers"]:
        key = known(name)
        if key is None:
            key = _remember(name)
        if key not in environ:
            environ[key] = value.decode("latin-1")
        elif key.startswith("HTTP_"):
            separator = "; " if key == "HTTP_COOKIE" else ","
            environ[key] = f"{environ[key]}{separator}{value.decode('latin-1')}"
    environ.pop(IGNORED, None)
    return environ


def _remember(name: bytes) -> str:
    """Return the key of a header; those that are left out share one."""
    key = IGNORED if b"_" in name else "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
    if len(_keys) < MOST_KEYS:
        _keys[name] = key
    return key
