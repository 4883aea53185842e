from importlib import import_module

from django.apps import apps
from django.db import connection

from accounts.models import Customer, LegalEntity
from tests.factories.accounts import CustomerFactory, LegalEntityFactory

normalization = import_module("accounts.migrations.0003_normalize_texts")
COMPOSED, DECOMPOSED = "zo\u00eb", "zoe\u0308"


def test_stored_texts_are_normalized_and_emails_that_become_one_are_left(tenant, other_tenant, caplog):
    for number, email in (("C1", f"a@{DECOMPOSED}.example"), ("C2", f"b@{DECOMPOSED}.example")):
        CustomerFactory(tenant=tenant, external_id=number, email=email, first_name=DECOMPOSED)
    CustomerFactory(tenant=tenant, external_id="C3", email=f"B@{COMPOSED}.example")
    CustomerFactory(tenant=other_tenant, external_id="C1", email=f"b@{DECOMPOSED}.example")
    LegalEntityFactory(tenant=tenant, name=DECOMPOSED)
    with connection.schema_editor() as editor:
        normalization.normalize_texts(apps, editor)
    stored = Customer.objects.filter(tenant=tenant).order_by("external_id")
    assert [customer.email for customer in stored] == [
        f"a@{COMPOSED}.example",
        f"b@{DECOMPOSED}.example",
        f"B@{COMPOSED}.example",
    ]
    assert stored[0].first_name == LegalEntity.objects.get().name == COMPOSED
    assert Customer.objects.get(tenant=other_tenant).email == f"b@{COMPOSED}.example"
    [record] = caplog.records
    assert "customer C2 of acme" in record.getMessage()
