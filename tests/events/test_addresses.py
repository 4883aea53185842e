"""Where webhooks may go: nowhere into private networks, however the address is written or changes."""

import ipaddress
import socket
from typing import Any

import pytest

from events.models import Delivery
from events.sending.addresses import UnsafeDestination, forget_addresses, is_public, resolve, split_url
from events.sending.requests import is_accessible
from tests.events.receiver import Receiver
from tests.events.webhooks import Webhooks


@pytest.fixture(autouse=True)
def unresolved():
    forget_addresses()
    yield
    forget_addresses()


def names(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Let hosts resolve to these addresses, one list after the other and the last one for ever."""
    asked: list[str] = []
    original = socket.getaddrinfo

    def getaddrinfo(host: str, port: Any, *arguments: object, **options: object) -> list[object]:
        if host[0].isdigit():
            return original(host, port, *arguments, **options)
        found = answers[min(len(asked), len(answers) - 1)]
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1",
        "169.254.169.254", "100.64.0.1", "100.127.255.255", "192.0.0.8", "198.18.0.1", "224.0.0.1",
        "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fc00::1", "fd12:3456::1", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "2002:7f00:1::",
        "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2001:db8::1", "fec0::1", "feb0::1", "3ffe::1", "3fff::1",
        "5f00::1", "64:ff9b:1::1", "100::1", "4000::1", "::ffff:0:7f00:1", "2001:0:4136:e378::80ff:fffe",
        "0.1.2.3", "192.0.2.1", "192.88.99.1", "198.51.100.1", "203.0.113.1", "::ffff:100.64.0.1",
    ],
)  # fmt: skip
def test_private_addresses_are_refused(address):
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111"])
def test_public_addresses_are_not(address):
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "http://shop.example/", "https://", "https://a b.example/", "https://u:p@shop.example/",
        "https://shop.example/#part", "file:///etc/passwd", "gopher://shop.example/", "https://shop.example:x/",
        "https://shöp.example/", "https://shop.example/\r\nX: y", "//shop.example/", "https://[::1/",
    ],
)  # fmt: skip
def test_what_is_no_address_to_send_to_is_refused(url):
    with pytest.raises(UnsafeDestination):
        split_url(url)


@pytest.mark.parametrize(
    "host",
    [
        "2130706433", "0x7f.1", "0x7f000001", "017700000001", "0177.0.0.1", "127.1", "0", "localhost",
        "2852039166", "0xa9fea9fe", "169.254.169.254", "[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]",
        "[::1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]", "[64:ff9b::127.0.0.1]", "[fe80::1%25lo]",
    ],
)  # fmt: skip
def test_other_ways_to_write_private_addresses_are_refused(host):
    with pytest.raises(UnsafeDestination, match=r"no public address|cannot be resolved"):
        resolve(f"https://{host}/")


def test_the_first_public_address_is_taken_and_kept(monkeypatch):
    asked = names(monkeypatch, ["10.0.0.1", "93.184.216.34"], ["127.0.0.1"])
    assert resolve("https://shop.example/a").ip == "93.184.216.34"
    assert resolve("https://shop.example/b").ip == "93.184.216.34"  # the name leads elsewhere by now
    assert asked == ["shop.example"]


def test_a_name_that_changes_its_address_to_loopback_is_refused(
    shop: Webhooks, receiver: Receiver, settings, monkeypatch
):
    settings.WEBHOOK_ALLOWED_NETWORKS = []
    names(monkeypatch, ["127.0.0.1"])
    shop.happen(shop.target(receiver.url.replace("127.0.0.1", "rebound.example")))
    shop.send()
    assert receiver.received == []
    delivery = Delivery.objects.get()
    assert delivery.state == "PENDING"
    assert delivery.last_error.startswith("The host rebound.example has no public address.")


def test_the_connection_goes_to_the_checked_address(shop: Webhooks, receiver: Receiver, monkeypatch):
    asked = names(monkeypatch, ["127.0.0.1"], ["10.0.0.1"])
    url = receiver.url.replace("127.0.0.1", "shop.example")
    shop.happen(shop.target(url), count=2)
    shop.send()
    assert [request.headers["host"] for request in receiver.received] == [url.removeprefix("http://")] * 2
    assert asked == ["shop.example"]


def test_a_silent_address_is_not_accessible(receiver: Receiver, settings):
    assert not is_accessible(receiver.url)  # it knows POST only
    settings.WEBHOOK_ALLOWED_NETWORKS = []
    forget_addresses()
    assert not is_accessible(receiver.url)
