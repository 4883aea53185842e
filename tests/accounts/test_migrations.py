from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection

from accounts.models import Customer, LegalEntity
from tests.factories.accounts import CustomerFactory, LegalEntityFactory

UNSEEN = {"accounts": "0015_unseen_characters", "catalog": "0005_unseen_characters"}
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


@pytest.mark.django_db(transaction=True)
def test_every_index_of_words_is_built_anew():
    """They were built by a function that did not leave out invisible characters."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexname FROM pg_indexes WHERE indexdef LIKE '%search_words(%' ORDER BY 1")
        names = [name for (name,) in cursor.fetchall()]

        def files() -> dict[str, int]:
            cursor.execute("SELECT name, pg_relation_filenode(name) FROM unnest(%s::text[]) AS name", [names])
            return dict(cursor.fetchall())

        before = files()
        for module in ("accounts", "catalog"):
            [step] = import_module(f"{module}.migrations.{UNSEEN[module]}").Migration.operations
            for statement in step.sql:
                cursor.execute(statement)
        after = files()
    assert [name for name in names if before[name] != after[name]] == names
    assert names == ["category_words", "customer_words", "legal_entity_words", "product_words"]
