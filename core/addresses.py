"""Where a request comes from."""

import logging
from functools import cache

from django.conf import settings
from django.http import HttpRequest

logger = logging.getLogger(__name__)


def client_address(request: HttpRequest) -> str:
    """Return the address of the client, as far as it can be trusted.

    Behind `settings.TRUSTED_PROXIES` reverse proxies it is the entry of X-Forwarded-For that the outermost
    of them wrote; what is further left is the client's own claim.
    """
    hops = settings.TRUSTED_PROXIES
    if hops:
        entries = [entry.strip() for entry in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")]
        if len(entries) >= hops and entries[-hops]:
            return entries[-hops][:100]
    elif "HTTP_X_FORWARDED_FOR" in request.META:
        warn_of_untrusted_proxy()
    return request.META.get("REMOTE_ADDR", "")


@cache
def warn_of_untrusted_proxy() -> None:
    """Log, once in the life of a process, that all clients may be counted as one address."""
    logger.warning(
        "Requests come with X-Forwarded-For, which TRUSTED_PROXIES=0 ignores: behind a reverse proxy all"
        " clients share its address, and the limits of failed attempts that go by address."
        " Set TRUSTED_PROXIES to the number of proxies that add to the header."
    )
