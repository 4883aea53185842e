"""Import runs in the admin: what was imported, and which rows were refused and why."""

import pytest
from django.urls import reverse

from core.imports.models import ImportReject, ImportRun

REJECTS = "admin:imports_importreject_changelist"


@pytest.fixture
def imported(shop, upsert, write) -> ImportRun:
    """An import of which one row was applied and three were refused."""
    path = write("members.csv", "segmentId,customerId", "S1,C1", "S1,C8", "S1,C9", "S9,C1")
    upsert("segment_customers", path)
    return ImportRun.objects.get()


def messages(answer) -> list[str]:
    """The messages of the rows that a page lists."""
    return [reject.message for reject in answer.context["cl"].result_list]


def test_a_run_is_listed_with_its_counts_and_leads_to_its_refused_rows(admin_client, imported):
    listed = admin_client.get(reverse("admin:imports_importrun_changelist"), {"q": "members"})
    assert list(listed.context["cl"].result_list) == [imported]
    page = admin_client.get(reverse("admin:imports_importrun_change", args=[imported.pk]))
    assert f"{reverse(REJECTS)}?run__id__exact={imported.pk}" in page.content.decode()


def test_refused_rows_are_listed_by_run_reason_and_text(admin_client, imported):
    other = ImportRun.objects.create(tenant=imported.tenant, kind="customers", mode="upsert", file_name="b")
    ImportReject.objects.create(run=other, line=2, reason="invalid_input", message="Another run.")
    assert messages(admin_client.get(reverse(REJECTS), {"run__id__exact": imported.pk})) == [
        "There is no customer C8.",
        "There is no customer C9.",
        "There is no segment S9.",
    ]
    assert messages(admin_client.get(reverse(REJECTS), {"reason": "unknown_segment"})) == [
        "There is no segment S9."
    ]
    assert messages(admin_client.get(reverse(REJECTS), {"q": "S1,C9"})) == ["There is no customer C9."]


@pytest.mark.parametrize("model", ["importrun", "importreject"])
def test_nobody_adds_or_deletes_what_an_import_has_written(admin_client, imported, model):
    for action, arguments in (("add", []), ("delete", [imported.pk])):
        answer = admin_client.post(reverse(f"admin:imports_{model}_{action}", args=arguments))
        assert answer.status_code == 403
