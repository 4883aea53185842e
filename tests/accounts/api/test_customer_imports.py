from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth.hashers import check_password, make_password
from django.core import mail
from django.core.management import call_command

from accounts.identity.legacy_passwords import LdapSaltedSha1, Phpass, check_legacy_hash
from accounts.identity.models import LegacyPassword, PasswordMigration
from accounts.identity.scopes import CUSTOMER_IMPORT_MANAGE, CUSTOMER_IMPORT_READ, CUSTOMER_MANAGE
from accounts.models import Customer
from core.errors import InvalidInput
from tests.factories.accounts import CustomerFactory, SiteFactory

IMPORT = "/customer/acme/customers/import"
RETENTION = "/customer/acme/config/password-migration-retention"
# Published test vectors: of phpass's own test, and of {SSHA} with the password "password".
PHPASS = {"algorithm": "phpass", "hash": "$P$9IQRaTwmfeRo7ud9Fh4E2PdI0S3r.L0"}
SSHA = {"algorithm": "ldap-ssha", "hash": "{SSHA}pKqkNr1tq3wtQqk+UcPyA3HnA2NsU5NJ"}
PASSWORD = "test12345"


@pytest.fixture
def staff(service_api):
    return service_api(CUSTOMER_IMPORT_MANAGE)


@pytest.fixture
def retention(staff, now):
    end = (now + timedelta(days=30)).date().isoformat()
    assert staff.post(RETENTION, {"retentionEndDate": end}).status_code == 200
    return end


def row(email="jane@example.com", **account):
    return {"firstName": "Jane", "account": {"email": email, **account}}


def log_in(api, email="jane@example.com", password=PASSWORD):
    return api.post("/customer/acme/login", {"email": email, "password": password}).status_code


# Verifiers


@pytest.mark.parametrize(
    ("verifier", "hash", "password"),
    [(Phpass, PHPASS["hash"], "test12345"), (LdapSaltedSha1, SSHA["hash"], "password")],
)
def test_verifier_accepts_its_published_test_vector_only(verifier, hash, password):
    assert verifier.matches(password, hash, {})
    assert not verifier.matches(f"{password}x", hash, {})


@pytest.mark.parametrize(
    ("algorithm", "hash"),
    [
        ("phpass", "$P$9short"),
        ("phpass", "$P$z" + PHPASS["hash"][4:]),  # 2 ** 63 rounds
        ("phpass", PHPASS["hash"] + "\n"),
        ("ldap-ssha", "{SSHA}notbase64!"),
        ("ldap-ssha", SSHA["hash"].removeprefix("{SSHA}")),
        ("ldap-ssha", "{SSHA}AAAA"),
    ],
)
def test_what_is_no_hash_of_its_algorithm_is_refused(algorithm, hash):
    with pytest.raises(InvalidInput, match="A hash of"):
        check_legacy_hash(algorithm, hash, {})


# Import


def test_customers_are_imported_with_hashes_of_both_kinds(staff, anonymous_api, tenant, retention):
    SiteFactory(tenant=tenant, code="main", is_default=True)
    body = [
        {**row("ann@example.com", passwordHash=make_password("ann's secret")), "id": "A1"},
        row("jane@example.com", legacyAuth=PHPASS),
    ]
    answer = staff.post(IMPORT, body)
    ann, jane = Customer.objects.order_by("id")
    assert (answer.status_code, answer.json()) == (
        207,
        [
            {"index": 0, "code": 201, "status": "Created", "id": "A1"},
            {"index": 1, "code": 201, "status": "Created", "id": jane.external_id},
        ],
    )
    assert (ann.email, ann.first_name, ann.preferred_site) == ("ann@example.com", "Jane", "main")
    assert (jane.password, LegacyPassword.objects.get().customer) == ("", jane)
    assert log_in(anonymous_api, "ann@example.com", "ann's secret") == 200


def test_legacy_hash_is_upgraded_at_the_first_login(staff, anonymous_api, retention):
    staff.post(IMPORT, [row(legacyAuth=PHPASS)])
    assert log_in(anonymous_api, password="wrong") == 401
    assert LegacyPassword.objects.count() == 1
    assert log_in(anonymous_api) == 200
    assert check_password(PASSWORD, Customer.objects.get().password)
    assert not LegacyPassword.objects.exists()
    assert log_in(anonymous_api) == 200


def test_customer_on_hold_does_not_log_in_by_a_legacy_hash(staff, anonymous_api, retention):
    staff.post(IMPORT, [row(legacyAuth=PHPASS)])
    Customer.objects.update(is_on_hold=True)
    assert log_in(anonymous_api) == 401


def test_import_with_a_legacy_hash_needs_a_retention_period(staff, tenant):
    [entry] = staff.post(IMPORT, [row(legacyAuth=PHPASS)]).json()
    assert (entry["code"], entry["status"]) == (400, "Bad Request")
    assert "password-migration-retention" in entry["message"]
    assert not Customer.objects.exists()


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (row(), 400, "Exactly one of 'passwordHash' or 'legacyAuth' must be provided in the account"),
        (row(passwordHash="md5$a$b", legacyAuth=PHPASS), 400, "Exactly one of"),
        (row(passwordHash="1:10000:abcdefgh:ijklmnop"), 400, "passwordHash must be in an encoding of Django"),
        (row(passwordHash="md5$"), 400, "passwordHash must be in an encoding of Django"),
        (row(legacyAuth={**PHPASS, "algorithm": "hybris-sha512-uid-salt"}), 400, "There is no verifier"),
        (row(legacyAuth={**PHPASS, "hash": "x"}), 400, "A hash of phpass"),
        (row("nobody", passwordHash="x"), 400, "account.email must be an e-mail address."),
        ({**row(passwordHash="md5$a$b"), "password": "secret"}, 400, "password is not imported: send"),
        (row(passwordHash="md5$a$b", password="secret"), 400, "account.password is not imported"),
        ({"firstName": "x"}, 400, "account is missing."),
        ({**row(passwordHash="x"), "contactEmail": "x@example.com"}, 400, "contactEmail must be the e-mail"),
        (row("TAKEN@example.com", passwordHash="md5$a$b"), 409, "exists already"),
        ({**row(passwordHash="md5$a$b"), "id": "C1"}, 409, "taken"),
        ("text", 400, "must be an object"),
    ],
)
def test_bad_entry_names_its_fault_and_spoils_no_other(staff, tenant, retention, body, code, message):
    CustomerFactory(tenant=tenant, external_id="C1", email="taken@example.com")
    good = row("good@example.com", passwordHash=make_password("x"))
    bad, fine = staff.post(IMPORT, [body, good]).json()
    assert (bad["index"], bad["code"]) == (0, code)
    assert message in bad["message"]
    assert fine["code"] == 201
    assert Customer.objects.count() == 2


def test_hash_that_takes_too_long_to_verify_is_refused(staff, tenant, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
    [entry] = staff.post(IMPORT, [row(passwordHash="pbkdf2_sha256$900000000$salt$aGFzaA==")]).json()
    assert entry["message"] == "passwordHash has iterations 900000000; the most is 5000000."


def test_at_most_200_customers_are_imported_at_once(staff, service_api):
    assert staff.post(IMPORT, [row()] * 201).status_code == 400
    assert staff.post(IMPORT, {}).status_code == 400
    assert service_api(CUSTOMER_MANAGE).post(IMPORT, [row()]).status_code == 403


# Retention


def test_retention_is_configured_read_and_removed(staff, service_api, now):
    end = now.date() + timedelta(days=30)
    assert staff.get(RETENTION).status_code == 404
    answer = staff.post(RETENTION, {"retentionEndDate": end.isoformat()})
    expected = {
        "retentionEndDate": end.isoformat(),
        "emailReminderDate": (end - timedelta(days=7)).isoformat(),
        "emailNotificationsEnabled": True,
    }
    assert (answer.status_code, answer.json()) == (200, expected)
    assert service_api(CUSTOMER_IMPORT_READ).get(RETENTION).json() == expected
    assert service_api(CUSTOMER_IMPORT_READ).delete(RETENTION).status_code == 403
    assert staff.delete(RETENTION).status_code == 204
    assert staff.get(RETENTION).status_code == 404


def test_reminder_that_would_be_past_is_tomorrow(staff, now):
    body = {"retentionEndDate": (now.date() + timedelta(days=7)).isoformat()}
    assert (
        staff.post(RETENTION, body).json()["emailReminderDate"]
        == (now.date() + timedelta(days=1)).isoformat()
    )


@pytest.mark.parametrize(
    ("end", "reminder", "field"),
    [
        (0, None, "retentionEndDate"),
        (5, -1, "emailReminderDate"),
        (5, 5, "emailReminderDate"),
        ("2027-02-30", None, "retentionEndDate"),
        (None, None, "retentionEndDate"),
    ],
)
def test_faulty_retention_is_refused_with_the_field(staff, now, end, reminder, field):
    def day(value):
        return (now.date() + timedelta(days=value)).isoformat() if isinstance(value, int) else value

    answer = staff.post(RETENTION, {"retentionEndDate": day(end), "emailReminderDate": day(reminder)})
    assert (answer.status_code, answer.json()["details"][0]["field"]) == (400, field)


def test_configuration_stays_while_legacy_hashes_are_left(staff, retention):
    staff.post(IMPORT, [row(legacyAuth=PHPASS)])
    assert staff.delete(RETENTION).status_code == 400
    Customer.objects.all().delete()
    assert staff.delete(RETENTION).status_code == 204


def test_customers_are_reminded_once_and_hashes_end_with_the_retention(
    staff, anonymous_api, retention, clock, django_capture_on_commit_callbacks
):
    def run():
        out = StringIO()
        with django_capture_on_commit_callbacks(execute=True):
            call_command("continue_password_migrations", stdout=out)
        return out.getvalue().strip(), [message.subject for message in mail.outbox]

    staff.post(IMPORT, [row(legacyAuth=PHPASS)])
    nothing = "Reminded 0 customers and deleted 0 hashes of other systems."
    assert run() == (nothing, [])
    clock.advance(timedelta(days=23))
    reminded = ["Please log in once"]
    assert run() == (nothing.replace("0 customers", "1 customers"), reminded)
    assert run() == (nothing, reminded)
    clock.advance(timedelta(days=7))
    over = [*reminded, "Please choose a new password"]
    assert run() == (nothing.replace("0 hashes", "1 hashes"), over)
    assert run() == (nothing, over)
    assert not LegacyPassword.objects.exists()


def test_legacy_hash_is_not_accepted_after_the_retention(staff, anonymous_api, retention, now):
    staff.post(IMPORT, [row(legacyAuth=PHPASS)])
    PasswordMigration.objects.update(retention_end_date=now.date())
    assert log_in(anonymous_api) == 401
    PasswordMigration.objects.update(retention_end_date=now.date() + timedelta(days=1))
    assert log_in(anonymous_api) == 200
