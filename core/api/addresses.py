"""Where a request comes from."""

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str:
    """Return the address of the client, as far as it can be trusted.

    Behind `settings.TRUSTED_PROXIES` reverse proxies it is the entry of X-Forwarded-For that the outermost
    of them wrote; what stands further left is the client's own claim.
    """
    hops = settings.TRUSTED_PROXIES
    if hops:
        entries = [entry.strip() for entry in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")]
        if len(entries) >= hops and entries[-hops]:
            return entries[-hops][:100]
    return request.META.get("REMOTE_ADDR", "")
