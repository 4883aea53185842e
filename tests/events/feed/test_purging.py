"""Changed groups are sent to the cache at the edge, at least once."""

import json
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction

from config.environment import Environment
from events.feed import purging
from events.feed.purging import PurgeFailed, purge_waiting_since, send_purges
from events.models import Event, PurgePosition
from tests.events.feed.conftest import is_all_read
from tests.factories.accounts import CustomerFactory, SiteFactory
from tests.factories.catalog import CategoryAssignmentFactory, CategoryFactory, ProductFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory
from tests.waiting import wait_until


class Cache:
    """A cache that notes what it is asked to purge."""

    def __init__(self):
        self.requests = []
        self.statuses = []

    def answer(self, headers, body):
        self.requests.append((headers, json.loads(body)))
        return self.statuses.pop(0) if self.statuses else 200

    def purged(self):
        """The groups by tenant, since the last call."""
        bodies = [body for _, body in self.requests]
        self.requests.clear()
        return [(body["tenant"], body["tags"]) for body in bodies]


@pytest.fixture
def cache(settings):
    cache = Cache()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(cache.answer(dict(self.headers), body))
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    settings.CACHE_PURGE_URL = f"http://127.0.0.1:{server.server_port}/purge"
    settings.CACHE_PURGE_HEADERS = {"Fastly-Key": "abc"}
    yield cache
    server.shutdown()
    thread.join()
    server.server_close()


def send():
    """Send all that is committed, whatever runs meanwhile (see `drain`): by one request or by several."""
    wait_until(lambda: send_purges(datetime.now(UTC)) or is_all_read(PurgePosition))


def test_what_changes_which_groups(cache, tenant, site):
    gold, silver = (SegmentFactory(site=site, external_id=name) for name in ("gold", "silver"))
    shown, hidden = ProductFactory(tenant=tenant), ProductFactory(tenant=tenant)
    category = CategoryFactory(tenant=tenant)
    ItemAssignmentFactory(segment=gold, product=shown)
    send()
    cache.purged()

    ItemAssignmentFactory(segment=silver, product=hidden)
    send()
    assert cache.purged() == [("acme", ["seg:silver"])]
    shown.name = {"en": "New"}
    shown.save()
    send()
    assert cache.purged() == [("acme", ["seg:gold"])]
    shown.description = {"en": "Not shown in lists"}
    shown.save()
    CustomerAssignmentFactory(segment=gold, customer=CustomerFactory(tenant=tenant))
    send()
    assert cache.purged() == []
    with transaction.atomic():
        CategoryAssignmentFactory(category=category, product=hidden)
        silver.name = {"en": "Silver"}
        silver.save()
    send()
    assert cache.purged() == [("acme", ["tree", "seg:silver"])]
    gold.delete()
    send()
    assert cache.purged() == [("acme", ["seg:gold"])]
    site.name = "Main site"
    site.save()
    send()
    assert cache.purged() == [("acme", ["t:acme"])]
    assert Event.objects.count() == 0


def test_the_forms_that_caches_read(cache, tenant, site):
    send()
    with transaction.atomic():
        for name in ("gold", "silver"):
            SegmentFactory(site=site, external_id=name)
    send()
    [(headers, body)] = cache.requests
    assert headers["Surrogate-Key"] == "seg:gold seg:silver"
    assert headers["Cache-Tag"] == "seg:gold,seg:silver"
    assert headers["Fastly-Key"] == "abc"
    assert body == {"tenant": "acme", "tags": ["seg:gold", "seg:silver"]}


@pytest.mark.parametrize("status", [500, 404, 301])
def test_what_the_cache_does_not_confirm_is_sent_again(cache, tenant, site, status):
    send()
    SegmentFactory(site=site, external_id="gold")
    cache.statuses = [status]
    with pytest.raises(PurgeFailed, match=str(status)):
        send()
    SegmentFactory(site=site, external_id="silver")
    cache.purged()
    wait_until(lambda: purge_waiting_since() is not None)
    send()
    assert [(name, tag) for name, tags in cache.purged() for tag in tags] == [
        ("acme", "seg:gold"),
        ("acme", "seg:silver"),
    ]
    assert purge_waiting_since() is None


def test_a_cache_that_is_away(settings, tenant, site):
    settings.CACHE_PURGE_URL = "http://127.0.0.1:9/"
    send()
    SegmentFactory(site=site)
    with pytest.raises(PurgeFailed, match="CACHE_PURGE_URL"):
        send()
    wait_until(lambda: purge_waiting_since() is not None)


def test_large_purges_are_divided_and_very_large_ones_are_of_the_tenant(cache, tenant, site, monkeypatch):
    monkeypatch.setattr(purging, "GROUPS_OF_REQUEST", 2)
    monkeypatch.setattr(purging, "MOST_GROUPS", 3)
    send()
    with transaction.atomic():
        for name in "abc":
            SegmentFactory(site=site, external_id=name)
    send()
    assert cache.purged() == [("acme", ["seg:a", "seg:b"]), ("acme", ["seg:c"])]
    with transaction.atomic():
        SegmentFactory.create_batch(4, site=site)
    send()
    assert cache.purged() == [("acme", ["t:acme"])]


def test_tenants_are_apart(cache, tenant, other_tenant, site):
    other = SiteFactory(tenant=other_tenant)
    send()
    SegmentFactory(site=site, external_id="here")
    SegmentFactory(site=other, external_id="there")
    send()
    assert cache.purged() == [("acme", ["seg:here"]), ("globex", ["seg:there"])]


def test_what_is_rolled_back_is_not_purged(cache, tenant, site):
    send()
    with transaction.atomic():
        SegmentFactory(site=site)
        transaction.set_rollback(True)
    send()
    assert cache.purged() == []


def test_nothing_is_read_without_a_cache(settings, tenant):
    assert settings.CACHE_PURGE_URL == ""
    assert purge_waiting_since() is None
    assert not PurgePosition.objects.exists()


def test_headers_from_the_environment():
    assert Environment({"H": "Fastly-Key: a:b, X-Shop:acme"}).headers("H") == {
        "Fastly-Key": "a:b",
        "X-Shop": "acme",
    }
    assert Environment({}).headers("H") == {}
    for wrong in ("Fastly-Key", "a b: c", ": x"):
        with pytest.raises(ImproperlyConfigured, match="Name: value"):
            Environment({"H": wrong}).headers("H")
