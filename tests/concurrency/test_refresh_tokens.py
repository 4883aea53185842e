"""Refreshes, logins and first keys at the same instant: real threads, real commits."""

from datetime import UTC, datetime

import pytest

from accounts.errors import InvalidRefreshToken
from accounts.identity.models import RefreshToken, Session, SigningKey
from accounts.identity.operations.attempts import AttemptLimit, count_attempt, subject_of
from accounts.identity.operations.sessions import refresh_anonymous_session, start_anonymous_session
from accounts.identity.tokens.keys import create_first_keys
from core.errors import DomainError, TooManyAttempts
from tests.concurrency.threads import at_once
from tests.factories.accounts import ApiClientFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def visit(tenant, stored_signing_keys):
    ApiClientFactory(tenant=tenant, client_id="shop", may_start_sessions=True)
    return {"tenant_name": "acme", "client_id": "shop"}


@pytest.mark.parametrize("round_", range(5))
def test_two_refreshes_with_one_token_from_two_addresses_leave_no_live_token(visit, round_):
    started = start_anonymous_session(**visit, context={}, at=datetime.now(UTC))
    addresses = iter(["192.0.2.1", "192.0.2.2"])

    results = at_once(
        2,
        lambda: refresh_anonymous_session(
            **visit, refresh_token=started.refresh_token, address=next(addresses), at=datetime.now(UTC)
        ),
    )

    winners = [result for result in results if not isinstance(result, DomainError)]
    assert len(winners) == 1
    assert [type(result) for result in results if result not in winners] == [InvalidRefreshToken]
    assert Session.objects.get().revoked_at is not None
    assert RefreshToken.objects.count() == 2
    with pytest.raises(InvalidRefreshToken):
        refresh_anonymous_session(
            **visit, refresh_token=winners[0].refresh_token, address="", at=datetime.now(UTC)
        )


@pytest.mark.parametrize("round_", range(5))
def test_two_tabs_that_refresh_at_once_keep_the_session(visit, round_):
    started = start_anonymous_session(**visit, context={}, at=datetime.now(UTC))

    results = at_once(
        2,
        lambda: refresh_anonymous_session(
            **visit, refresh_token=started.refresh_token, address="192.0.2.1", at=datetime.now(UTC)
        ),
    )

    assert [result.session.session_id for result in results] == [started.session.session_id] * 2
    assert Session.objects.get().revoked_at is None
    assert RefreshToken.objects.filter(used_at=None).count() == 2


def test_attempts_at_once_never_exceed_the_limit():
    limit = AttemptLimit(subject_of("test"), most=5)
    at = datetime.now(UTC)
    results = at_once(12, lambda: count_attempt([limit], at=at))
    assert results.count(None) == 5
    assert [type(result) for result in results if result is not None] == [TooManyAttempts] * 7


def test_first_keys_are_made_once(db):
    SigningKey.objects.all().delete()
    results = at_once(4, create_first_keys)
    assert {tuple(sorted(key.kid for key in keys)) for keys in results} == {
        tuple(sorted(SigningKey.objects.values_list("kid", flat=True)))
    }
    assert sorted(SigningKey.objects.values_list("status", flat=True)) == ["active", "next"]
