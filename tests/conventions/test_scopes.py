"""Who may call what: scopes.txt lists every route and method with the scopes that open it, any one of them.

Of `a+b` both are needed. A route that is missing there fails the suite, and so does one that is there and
answers no more. `public` needs no token at all, `any-token` a valid one of the tenant, whatever its scopes.
"""

from pathlib import Path

import pytest
from django.urls import get_resolver

from accounts.identity.scopes import ANONYMOUS_SCOPES, SERVICE_SCOPES
from accounts.models import Customer
from tests.conftest import Api
from tests.factories.accounts import CustomerFactory

TABLE = [
    (method, path, None if scopes == ["public"] else [] if scopes == ["any-token"] else scopes)
    for method, path, *scopes in map(
        str.split, Path(__file__).with_name("scopes.txt").read_text().splitlines()
    )
]
GUARDED = [row for row in TABLE if row[2]]
IDS = [f"{method} {path}" for method, path, _ in TABLE]
GUARDED_IDS = [f"{method} {path}" for method, path, _ in GUARDED]
ARGUMENTS = {
    "<tenant>": "acme",
    "<item_type>": "PRODUCT",
    "<category_id>": "missing",
}


def routes(patterns, prefix=""):
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        if hasattr(pattern, "url_patterns"):
            yield from routes(pattern.url_patterns, path)
        elif actions := getattr(pattern.callback, "actions", None):
            yield from ((method.upper(), path) for method in actions if method != "head")


def address(path):
    """Fill a route's arguments: the tenant, and ids of things that do not exist."""
    parts = [ARGUMENTS.get(part, "missing") if part.startswith("<") else part for part in path.split("/")]
    return "/" + "/".join(parts)


def lacks_scope(answer):
    return answer.status_code == 403 and "scope" in answer.content.decode().lower()


def test_every_route_stands_in_the_table_once():
    known = [(method, path) for method, path, _ in TABLE]
    assert sorted(known) == sorted(routes(get_resolver("config.urls").url_patterns))
    assert len(known) == len(set(known))


@pytest.mark.parametrize(("method", "path", "scopes"), TABLE, ids=IDS)
def test_without_a_token_only_public_operations_answer(db, method, path, scopes):
    answer = Api(None).send(method, address(path))
    assert (answer.status_code == 401) is (scopes is not None and "oauth" not in path)
    if answer.status_code == 401:
        assert answer.json()["fault"]["detail"]["errorcode"] == "oauth.v2.InvalidAccessToken"


@pytest.mark.parametrize(("method", "path", "scopes"), GUARDED, ids=GUARDED_IDS)
def test_all_other_scopes_together_do_not_open_it(service_api, method, path, scopes):
    needed = {part for scope in scopes for part in scope.split("+")}
    managing = {scope.rpartition("_")[0] for scope in needed}
    others = {scope for scope in SERVICE_SCOPES if scope not in needed}
    others -= {f"{resource}_manage" for resource in managing}  # to manage implies to read
    answer = service_api(*others).send(method, address(path))
    assert answer.status_code == 403
    assert any(scope in answer.content.decode() for scope in needed)


@pytest.mark.parametrize(
    ("method", "path", "scope", "missing"),
    [
        (method, path, scope, missing)
        for method, path, scopes in GUARDED
        for scope in scopes
        for missing in scope.split("+")
        if "+" in scope
    ],
)
def test_of_several_scopes_none_may_be_missing(service_api, method, path, scope, missing):
    answer = service_api(*{*scope.split("+")} - {missing}).send(method, address(path))
    assert answer.status_code == 403
    assert missing in answer.content.decode()


@pytest.mark.parametrize(("method", "path", "scopes"), GUARDED, ids=GUARDED_IDS)
def test_each_of_its_scopes_opens_it(service_api, customer_api, tenant, method, path, scopes):
    """Scopes on one's own things are a customer's; there, only what is the customer's own opens."""
    for scope in scopes:
        Customer.objects.all().delete()
        if scope.endswith("_own"):
            caller = customer_api(CustomerFactory(tenant=tenant, external_id="missing"))
        else:
            caller = service_api(*scope.split("+"))
        assert not lacks_scope(caller.send(method, address(path))), scope


@pytest.mark.parametrize(
    ("method", "path", "scopes"),
    [row for row in TABLE if row[2] is not None],
    ids=[name for name, row in zip(IDS, TABLE, strict=True) if row[2] is not None],
)
def test_a_token_of_another_tenant_opens_nothing(service_api, other_tenant, method, path, scopes):
    stranger = service_api(*SERVICE_SCOPES, tenant=other_tenant)
    answer = stranger.send(method, address(path))
    assert answer.status_code == 403
    assert "another tenant" in answer.content.decode()


@pytest.mark.parametrize("name", ["Acme", "a", "1acme", "a-b", "abcdefghijklmnopq"])
def test_a_malformed_tenant_is_a_bad_request(service_api, name):
    answer = service_api("customersegment.segment_read").get(f"/customer-segment/{name}/segments")
    assert answer.status_code == 400


def test_the_tenant_header_agrees_with_the_path(service_api):
    api = service_api("customersegment.segment_read")
    path = "/customer-segment/acme/segments"
    assert api.get(path, headers={"Emporix-Tenant": "acme"}).status_code == 200
    assert api.get(path, headers={"Emporix-Tenant": "globex"}).status_code == 400


def test_tokens_of_anonymous_visitors_only_redeem_coupons_and_read_shared_answers(anonymous_api):
    for method, path, scopes in GUARDED:
        is_open = not set(ANONYMOUS_SCOPES).isdisjoint(scopes)
        assert lacks_scope(anonymous_api.send(method, address(path))) != is_open, path
