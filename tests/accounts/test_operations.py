from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError

from accounts.errors import InvalidAccessToken, NotAContact, UnknownReference
from accounts.identity.models import ApiClient, AttemptCounter, Session
from accounts.identity.operations.attempts import AttemptLimit, count_attempt, forgive_attempt, subject_of
from accounts.identity.operations.clients import change_api_client, create_api_client
from accounts.identity.operations.sessions import grant, refresh_customer_session
from accounts.identity.tokens import issue_access_token, verify_access_token
from accounts.operations.customers import set_customer_password
from accounts.operations.tenants import change_tenant
from core.errors import TooManyAttempts
from core.tenancy.callers import CallerKind
from tests.factories.accounts import (
    ApiClientFactory,
    ContactAssignmentFactory,
    CustomerFactory,
    SessionFactory,
)


def test_limit_lets_so_many_attempts_pass_and_says_how_long_to_wait(db, now):
    limit = AttemptLimit(subject_of("coupon", "192.0.2.1"), most=2, window=timedelta(minutes=10))
    count_attempt([limit], at=now)
    count_attempt([limit], at=now + timedelta(minutes=9))
    with pytest.raises(TooManyAttempts, match="try again in 30 seconds") as refused:
        count_attempt([limit], at=now + timedelta(minutes=9, seconds=30))
    assert refused.value.retry_after == 30
    count_attempt([limit], at=now + timedelta(minutes=10))
    assert AttemptCounter.objects.get().attempts == 1


def test_longest_wait_of_several_limits_counts(db, now):
    short = AttemptLimit(subject_of("a"), most=0, window=timedelta(seconds=5))
    long = AttemptLimit(subject_of("b"), most=0, window=timedelta(seconds=50))
    with pytest.raises(TooManyAttempts) as refused:
        count_attempt([short, long], at=now)
    assert refused.value.retry_after == 50


def test_forgiven_attempt_does_not_count(db, now):
    limit, pair = AttemptLimit(subject_of("a"), most=3), AttemptLimit(subject_of("b"), most=3)
    for _ in range(3):
        count_attempt([limit, pair], at=now)
    forgive_attempt([limit], reset=[pair])
    counted = dict(AttemptCounter.objects.values_list("subject", "attempts"))
    assert counted == {limit.subject: 2, pair.subject: 0}


def test_a_refused_attempt_counts_for_nothing(db, now):
    own, address = AttemptLimit(subject_of("own"), most=2), AttemptLimit(subject_of("address"), most=9)
    for _ in range(2):
        count_attempt([own, address], at=now)
    for _ in range(9):
        with pytest.raises(TooManyAttempts):
            count_attempt([own, address], at=now)
    counted = dict(AttemptCounter.objects.values_list("subject", "attempts"))
    assert counted == {own.subject: 2, address.subject: 2}
    forgive_attempt([own, address])  # one that was under way when the others were refused
    count_attempt([own, address], at=now)


def test_an_attempt_that_was_made_counts_although_it_is_refused(db, now):
    own, address = AttemptLimit(subject_of("own"), most=2), AttemptLimit(subject_of("address"), most=9)
    for _ in range(2):
        count_attempt([own, address], at=now, was_made=True)
    for _ in range(3):
        with pytest.raises(TooManyAttempts):
            count_attempt([own, address], at=now, was_made=True)
    counted = dict(AttemptCounter.objects.values_list("subject", "attempts"))
    assert counted == {own.subject: 5, address.subject: 5}


def test_counting_takes_one_statement(db, now, django_assert_num_queries):
    limits = [AttemptLimit(subject_of(number), most=9) for number in range(5)]
    with django_assert_num_queries(1):
        count_attempt(limits, at=now)


def test_new_password_ends_all_sessions_of_the_customer(tenant, now):
    customer, other = CustomerFactory.create_batch(2, tenant=tenant)
    mine = SessionFactory(client__tenant=tenant, customer=customer)
    theirs = SessionFactory(client=mine.client, customer=other)
    set_customer_password(customer=customer, password="another password", is_initial=False, at=now)
    customer.refresh_from_db()
    assert customer.accepts_password("another password")
    assert Session.objects.get(pk=mine.pk).revoked_at == now
    assert Session.objects.get(pk=theirs.pk).revoked_at is None


def test_refused_legal_entity_leaves_the_refresh_token_good(tenant, stored_signing_keys, now):
    session = SessionFactory(client__tenant=tenant, customer=CustomerFactory(tenant=tenant), created_at=now)
    token = grant(session, at=now).refresh_token
    stranger = ContactAssignmentFactory(legal_entity__tenant=tenant)
    with pytest.raises(NotAContact):
        refresh_customer_session(
            tenant_id=tenant.pk,
            refresh_token=token,
            legal_entity_id=stranger.legal_entity.external_id,
            address="",
            at=now,
        )
    granted = refresh_customer_session(tenant_id=tenant.pk, refresh_token=token, address="", at=now)
    assert granted.session.legal_entity is None


def test_refresh_prolongs_the_session(tenant, stored_signing_keys, now):
    session = SessionFactory(client__tenant=tenant, customer=CustomerFactory(tenant=tenant), created_at=now)
    token = grant(session, at=now).refresh_token
    later = now + timedelta(hours=10)
    refresh_customer_session(tenant_id=tenant.pk, refresh_token=token, address="", at=later)
    session.refresh_from_db()
    assert session.expires_at == later + timedelta(seconds=86399)


def test_client_cannot_have_a_scope_that_there_is_not(tenant, now):
    with pytest.raises(UnknownReference, match="There is no scope customersegment.segment_read_own"):
        create_api_client(tenant=tenant, scopes=["customersegment.segment_read_own"], at=now)
    assert not ApiClient.objects.exists()


def test_change_of_a_client_changes_only_what_is_named(tenant):
    client = ApiClientFactory(tenant=tenant, name="Old", scopes=["site.site_read"])
    changed = change_api_client(client=client, name="New")
    assert (changed.name, changed.scopes, changed.is_active) == ("New", ["site.site_read"], True)


def test_tokens_of_a_tenant_that_was_turned_off_are_refused(
    tenant, stored_signing_keys, now, django_capture_on_commit_callbacks
):
    client = ApiClientFactory(tenant=tenant)
    token = issue_access_token(tenant=tenant, kind=CallerKind.SERVICE, client_id=client.client_id, at=now)
    verify_access_token(token, at=now)
    tenant.is_active = False
    with django_capture_on_commit_callbacks(execute=True):
        change_tenant(tenant=tenant)
    with pytest.raises(InvalidAccessToken):
        verify_access_token(token, at=now)


def test_faulty_tenant_is_not_saved(tenant):
    tenant.languages = ["de"]
    with pytest.raises(ValidationError):
        change_tenant(tenant=tenant)
    tenant.refresh_from_db()
    assert tenant.languages == ["en", "de"]
