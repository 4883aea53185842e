"""Which addresses webhooks may be sent to; a connection is made to the very address that was checked."""

import ipaddress
import socket
import threading
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings

from core.errors import DomainError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

DEFAULT_PORTS = {"https": 443, "http": 80}
NO_URL = "This is not a URL. Write one such as https://shop.example/webhook."
LONGEST_URL = 2_000
RESOLVED_FOR = 30.0  # seconds
MOST_RESOLVED = 1_000
NAT64 = ipaddress.ip_network("64:ff9b::/96")
NOT_PUBLIC = [  # which Python's lists do not know in all its versions
    ipaddress.ip_network(text)
    for text in ("100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "2001:db8::/32", "3ffe::/16", "3fff::/20")
]
GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")  # of IPv6 nothing else is given out; fec0:: was for sites
IPV4_COMPATIBLE = ipaddress.ip_network("::/96")


class UnsafeDestination(DomainError):
    """An address that webhooks are not sent to, and why."""

    code = "unsafe_destination"


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a URL leads: what is asked for (`path`), of which `host`, and at which address (`ip`)."""

    scheme: str
    host: str
    port: int
    path: str
    ip: str

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def split_url(url: str) -> tuple[str, str, int, str]:
    """Return scheme, host, port and path; raise UnsafeDestination for what nothing is sent to."""
    if len(url) > LONGEST_URL:
        raise UnsafeDestination(f"A URL has at most {LONGEST_URL} characters.")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise UnsafeDestination("Write the URL in ASCII without blanks; encode other characters with %.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UnsafeDestination(NO_URL) from None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise UnsafeDestination(NO_URL)
    if parts.scheme == "http" and not settings.WEBHOOK_ALLOW_HTTP:
        raise UnsafeDestination(
            "Webhooks are sent over https only. Use an address that begins with https://."
        )
    if parts.username is not None or parts.password is not None:
        raise UnsafeDestination("The URL must not hold a user name or a password. Send them as a header.")
    if parts.fragment:
        raise UnsafeDestination("The URL must not have a part behind #; it would not be sent.")
    path = parts.path or "/"
    return (
        parts.scheme,
        parts.hostname,
        port or DEFAULT_PORTS[parts.scheme],
        f"{path}?{parts.query}" if parts.query else path,
    )


def resolve(url: str) -> Destination:
    """Return where the URL leads, by its first public address; raise UnsafeDestination when it has none."""
    scheme, host, port, path = split_url(url)
    return Destination(scheme, host, port, path, _cache.address(host))


def is_public(address: Address) -> bool:
    """Say whether an address is one of the public internet, whichever way it is written."""
    inner = embedded_ipv4(address)
    if inner is not None:
        return is_public(inner)
    if address.version == 6 and address not in GLOBAL_UNICAST:
        return False
    if any(address in network for network in NOT_PUBLIC):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def embedded_ipv4(address: Address) -> Address | None:
    """Return the IPv4 address that an IPv6 address leads to through a translation or a tunnel."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in NAT64 or (address in IPV4_COMPATIBLE and int(address) > 1):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]


def is_allowed(address: Address) -> bool:
    """Say whether the address is public, or in a network that the operator has opened."""
    plain = (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address
    opened: list[Network] = settings.WEBHOOK_ALLOWED_NETWORKS
    return is_public(address) or any(plain in network for network in opened)


def look_up(host: str) -> list[Address]:
    """Return the addresses of a host, in the order in which the system prefers them."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UnsafeDestination(f"The host {host} cannot be resolved: {error}.") from error
    texts = dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found)
    return [ipaddress.ip_address(text) for text in texts]


class _Resolved:
    """The checked addresses of hosts, each for half a minute."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, str]] = {}
        self._lock = threading.Lock()

    def address(self, host: str) -> str:
        now = time.monotonic()
        until, ip = self._known.get(host, (0.0, ""))
        if until > now and is_allowed(ipaddress.ip_address(ip)):
            return ip
        allowed = [address for address in look_up(host) if is_allowed(address)]
        if not allowed:
            raise UnsafeDestination(
                f"The host {host} has no public address. Webhooks are not sent into private networks unless"
                " the operator allows it with WEBHOOK_ALLOWED_NETWORKS."
            )
        with self._lock:
            if len(self._known) >= MOST_RESOLVED:
                self._known.clear()
            self._known[host] = (now + RESOLVED_FOR, str(allowed[0]))
        return str(allowed[0])

    def forget(self) -> None:
        self._known.clear()


_cache = _Resolved()


def forget_addresses() -> None:
    """Look hosts up anew from now on."""
    _cache.forget()
