from datetime import UTC, datetime, timedelta

import pytest

from accounts.callers import CallerKind
from accounts.tokens import issue_access_token, verify_access_token
from tests.factories.accounts import ApiClientFactory


def test_service_token_names_its_tenant_and_scopes(tenant, stored_signing_keys, now):
    ApiClientFactory(tenant=tenant, client_id="backend")
    token = issue_access_token(
        tenant=tenant, kind=CallerKind.SERVICE, client_id="backend", scopes=["coupon.coupon_manage"], at=now
    )
    caller = verify_access_token(token, at=now)
    assert caller.tenant.id == tenant.pk
    assert caller.scopes == {"coupon.coupon_manage", "coupon.coupon_read"}
