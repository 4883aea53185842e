import re
from secrets import token_hex

from django.http import HttpRequest

REQUEST_ID = re.compile(r"[A-Za-z0-9._:~@-]{1,64}")


def request_id(request: HttpRequest) -> str:
    """Return the id that the client or a proxy gave the request (X-Request-Id), or a new one."""
    given = request.META.get("HTTP_X_REQUEST_ID", "")
    return given if REQUEST_ID.fullmatch(given) else token_hex(8)
