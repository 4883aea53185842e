"""The web server's responses are those that Django gives to a plain WSGI server."""

import http.client
import subprocess
import sys
from collections.abc import Iterator

import pytest

from accounts.identity import scopes
from tests.faults.servers import PROJECT, PatientServer, database_url
from tests.ports import reserved_port
from tests.waiting import PATIENCE, wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("real_time")]

# It reads each body before Django refuses it: a connection that is closed with unread bytes may be reset.
REFERENCE = """
import sys
from io import BytesIO
from wsgiref.simple_server import WSGIRequestHandler, make_server
from config.wsgi import application

class Quiet(WSGIRequestHandler):
    def log_message(self, *words):
        pass

def application_with_body(environ, start_response):
    length = int(environ.get("CONTENT_LENGTH") or 0)
    environ["wsgi.input"] = BytesIO(environ["wsgi.input"].read(length))
    return application(environ, start_response)

make_server("127.0.0.1", int(sys.argv[1]), application_with_body, handler_class=Quiet).serve_forever()
"""
# different from one response to the next, or the server's own
VARYING = {"date", "server", "set-cookie", "connection", "expires", "content-length"}
SEGMENTS = "/customer-segment/acme/segments"
REQUESTS = [
    ("GET", SEGMENTS, None, {}),
    ("HEAD", SEGMENTS, None, {}),
    ("OPTIONS", SEGMENTS, None, {}),
    ("OPTIONS", SEGMENTS, None, {"Origin": "https://x.example", "Access-Control-Request-Method": "GET"}),
    ("TRACE", SEGMENTS, None, {}),
    (
        "GET",
        f"{SEGMENTS}?pageSize=2&q=status:ACTIVE",
        None,
        {"Accept-Language": "de", "X-Total-Count": "true"},
    ),
    ("GET", f"{SEGMENTS}/a%2Fb", None, {}),
    ("GET", f"{SEGMENTS}/%C3%A4%FF", None, {}),
    ("GET", "/nothing;x=1", None, {}),
    ("GET", "/nothing", None, {}),
    ("GET", "/healthz", None, {}),
    ("GET", "/readyz", None, {}),
    ("GET", "/", None, {}),
    ("GET", "/admin/", None, {}),
    ("GET", "/openapi.json", None, {}),
    ("GET", "/static/admin/css/base.css", None, {}),
    ("HEAD", "/static/admin/css/base.css", None, {}),
    ("GET", "/static/admin/css/base.css", None, {"Accept-Encoding": "gzip"}),
    ("GET", "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js", None, {}),
    ("POST", SEGMENTS, b"{bad", {}),
    ("POST", SEGMENTS, b'{"id": 5}', {}),
    ("POST", SEGMENTS, b"", {}),
    ("POST", SEGMENTS, b"x" * 3_000_000, {}),
    ("POST", f"{SEGMENTS}/search", b'{"q": "status:ACTIVE"}', {}),
    ("PUT", SEGMENTS, b"{}", {}),
    ("PATCH", f"{SEGMENTS}/nope", b"{}", {}),
    ("DELETE", f"{SEGMENTS}/nope", None, {}),
    ("GET", SEGMENTS, b"{}", {}),
    ("GET", SEGMENTS, None, {"Cookie": "a=1", "X-Forwarded-For": "10.0.0.1"}),
]


@pytest.fixture
def ports(tmp_path) -> Iterator[tuple[int, int]]:
    """The ports of the project's web server and of the plain one."""
    server = PatientServer(log=tmp_path / "log", DATABASE_URL=database_url())
    with reserved_port() as port:
        reference = subprocess.Popen(
            [sys.executable, "-c", REFERENCE, str(port)],
            cwd=PROJECT,
            env=server.environ,
            stderr=subprocess.DEVNULL,
        )
        try:
            server.start()
            wait_until(lambda: response_of(port, "GET", "/healthz", None, {})[0] == 200)
            yield server.port, port
        finally:
            reference.kill()
            reference.wait()
            server.close()


def response_of(port: int, method: str, path: str, body: bytes | None, headers: dict[str, str]):
    """Return status, headers and body; status 0 when there is no server."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        client.request(method, path, body, {"Host": "localhost:8000", **headers})
        response = client.getresponse()
        found = sorted(
            (name.lower(), value) for name, value in response.getheaders() if name.lower() not in VARYING
        )
        return response.status, found, response.read()
    except OSError:
        return 0, [], b""
    finally:
        client.close()


def test_responses_are_those_of_django_behind_a_plain_server(ports, tenant, service_api):
    token = service_api(scopes.SEGMENT_MANAGE).headers["Authorization"]
    ours, plain = ports
    for method, path, body, headers in REQUESTS:
        named = {
            "Authorization": token,
            "Content-Type": "application/json",
            "X-Request-Id": "same",
            **headers,
        }
        found, expected = (response_of(port, method, path, body, named) for port in (ours, plain))
        if path == "/healthz":  # answered without Django's middleware
            found, expected = (found[0], found[2]), (expected[0], expected[2])
        assert found == expected, (method, path)
