import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from django.db import connection

from accounts.identity.operations.sessions import end_session
from accounts.identity.tokens import issue_access_token
from core.tenancy.callers import CallerKind
from tests.conftest import session_of
from tests.factories.accounts import CustomerFactory
from tests.waiting import PATIENCE

OTHER_WORKER = """
import sys
from datetime import UTC, datetime
import django
django.setup()
from django.db import connection
connection.settings_dict["NAME"] = sys.argv[1]
from accounts.identity.tokens import verify_access_token
from core.errors import NotAuthenticated
for token in sys.stdin:
    try:
        print("good", verify_access_token(token.strip(), at=datetime.now(UTC)).session_id, flush=True)
    except NotAuthenticated as refused:
        print("refused", refused.message, flush=True)
"""


@pytest.mark.django_db(transaction=True)
def test_logout_is_seen_at_once_by_another_process(tenant, stored_signing_keys):
    """The state that a process has read counts for an hour here: only the stamp can tell it."""
    at = datetime.now(UTC)
    customer = CustomerFactory(tenant=tenant)
    session = session_of(tenant, at, customer)
    token = issue_access_token(
        tenant=tenant,
        kind=CallerKind.CUSTOMER,
        client_id=session.client.client_id,
        session_id=str(session.session_id),
        customer=customer,
        at=at,
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", OTHER_WORKER, connection.settings_dict["NAME"]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
    )

    def answer() -> str:
        worker.stdin.write(f"{token}\n")
        worker.stdin.flush()
        return worker.stdout.readline().strip()

    try:
        assert answer() == f"good {session.session_id}"
        assert answer() == f"good {session.session_id}"
        end_session(tenant_id=tenant.pk, access_token=token, at=datetime.now(UTC))
        assert answer() == "refused Invalid access token"
    finally:
        worker.stdin.close()
        worker.wait(timeout=PATIENCE)
        worker.stdout.close()
