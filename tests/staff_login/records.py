"""What is recorded and declared of one-time passwords, whose tables are there only when they are in use."""

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts.models import User
from accounts.totp.models import RecoveryCodes
from core.journal.declarations import recorded
from core.journal.models import Change
from core.tenancy.models import Tenant
from tests.architecture.test_personal_data import (  # noqa: F401 -- of the tables that are there now
    test_every_text_and_json_column_says_what_it_holds,
)
from tests.core.journal.test_declarations import (  # noqa: F401
    test_declared_columns_exist,
    test_every_model_is_recorded_or_says_why_not,
    test_every_trigger_runs,
)
from tests.factories.accounts import UserFactory

pytestmark = pytest.mark.django_db
OBJECTS = ("staff-device", "staff-recovery-codes")
MARKER = "m4rk3r"


@pytest.fixture
def ada(tenant: Tenant) -> User:
    return UserFactory(username="ada", tenant=tenant)


def changes_of(name: str) -> list[tuple[object, ...]]:
    rows = Change.objects.filter(object=name).order_by("id")
    return list(rows.values_list("kind", "tenant_id", "owner_key", "hidden"))


def test_devices_and_codes_are_recorded_without_their_secrets(ada: User) -> None:
    device = TOTPDevice.objects.create(user=ada, name="phone", confirmed=False, key=MARKER)
    TOTPDevice.objects.update(last_t=7, drift=1, throttling_failure_count=1)
    TOTPDevice.objects.update(confirmed=True)
    device.delete()
    codes = RecoveryCodes.objects.create(user=ada, name="recovery codes", hashes=[MARKER])
    RecoveryCodes.objects.update(throttling_failure_count=1)
    RecoveryCodes.objects.update(hashes=[MARKER, "used"])
    codes.delete()
    owned = (ada.tenant_id, ada.pk)
    assert changes_of("staff-device") == [
        ("created", *owned, ["key"]),
        ("updated", *owned, None),
        ("deleted", *owned, ["key"]),
    ]
    assert changes_of("staff-recovery-codes") == [
        ("created", *owned, ["hashes"]),
        ("updated", *owned, ["hashes"]),
        ("deleted", *owned, ["hashes"]),
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM journal_change AS change WHERE change::text LIKE %s", [f"%{MARKER}%"]
        )
        assert cursor.fetchone() == (0,)


def test_the_page_activity_says_who_set_up_what(ada: User, client: Client) -> None:
    operator = UserFactory(username="operator", tenant=None, is_superuser=True)
    device = TOTPDevice.objects.create(user=ada, name="phone", confirmed=True)
    RecoveryCodes.issue(ada)
    own = TOTPDevice.objects.create(user=operator, name="own", confirmed=True)
    client.force_login(operator)
    session = client.session
    session["otp_device_id"] = own.persistent_id
    session.save()
    client.post(f"/admin/otp_totp/totpdevice/{device.pk}/delete/", {"post": "yes"})
    last = Change.objects.filter(object__in=OBJECTS, owner_key=ada.pk, kind="deleted")
    assert set(last.values_list("object", "actor_type", "actor_id")) == {
        ("staff-device", "staff", "operator"),
        ("staff-recovery-codes", "staff", "operator"),
    }
    page = client.get(reverse("admin:journal_change_changelist"))
    text = page.content.decode()
    assert "created the recovery codes" in text
    assert "deleted the device for one-time passwords" in text
    german = client.get(reverse("admin:journal_change_changelist"), headers={"Accept-Language": "de"})
    assert "Gerät für Einmalpasswörter" in german.content.decode()


def test_every_table_of_one_time_passwords_is_recorded() -> None:
    names = {one.object for one in recorded()}
    assert names.issuperset(OBJECTS)
