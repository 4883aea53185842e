import pytest
from django.test import RequestFactory

from core.addresses import client_address, warn_of_untrusted_proxy


@pytest.fixture(autouse=True)
def a_new_process():
    """No test inherits that the process has warned already."""
    warn_of_untrusted_proxy.cache_clear()
    yield
    warn_of_untrusted_proxy.cache_clear()


def request(forwarded=None):
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    return RequestFactory().get("/", headers=headers, REMOTE_ADDR="10.0.0.1")


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, None, "10.0.0.1"),
        (0, "192.0.2.1", "10.0.0.1"),
        (1, "6.6.6.6, 192.0.2.1", "192.0.2.1"),
        (2, "6.6.6.6, 192.0.2.1, 10.0.0.2", "192.0.2.1"),
        (2, "192.0.2.1", "10.0.0.1"),
        (1, None, "10.0.0.1"),
    ],
)
def test_address_is_what_the_outermost_trusted_proxy_saw(settings, proxies, forwarded, address):
    settings.TRUSTED_PROXIES = proxies
    assert client_address(request(forwarded)) == address


def test_ignored_header_is_logged_once(settings, caplog):
    settings.TRUSTED_PROXIES = 0
    client_address(request())
    assert caplog.messages == []
    for _ in range(3):
        client_address(request("192.0.2.1"))
    (message,) = caplog.messages
    assert "Set TRUSTED_PROXIES to the number of proxies" in message


def test_trusted_header_is_not_logged(settings, caplog):
    settings.TRUSTED_PROXIES = 1
    client_address(request("192.0.2.1"))
    assert caplog.messages == []
