"""What an import holds while it is at work, seen by writers of other sessions."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from accounts.models import Customer, LegalEntity
from accounts.operations.documents import existing_document
from catalog.errors import DuplicatedCode
from catalog.imports.categories import CATEGORY_FILES
from catalog.models import Category, Product
from catalog.operations import category_imports
from catalog.operations.categories import create_category, delete_category, upsert_category
from catalog.operations.category_imports import upsert_categories_in_bulk
from catalog.operations.product_sets import publish_products
from catalog.tree_checks import tree_problems
from config.demo import loading
from config.demo.calendar import Calendar
from core.imports import writers
from core.imports.commands import ImportProgress
from core.imports.files import InputFile
from core.imports.merge_statements import Mode
from core.imports.models import ImportRun, ImportState
from core.imports.orders import ImportOrder
from core.imports.runner import FIRST_DELETIONS, ImportRunner, part_size
from core.imports.shadows import Rows, shadowed
from core.imports.slices import rows_of_next_slice
from core.sql.locks import Lock
from core.tenancy.models import Tenant
from coupons.models import Coupon, Redemption
from segments.imports.assignments import MEMBERS_OF_SEGMENTS
from segments.models import CustomerAssignment, Segment
from segments.operations.segments import locked_segment
from segments.operations.statuses import set_segment_status
from tests.concurrency.threads import in_thread
from tests.core.imports.conftest import run_command
from tests.factories.accounts import CustomerFactory, LegalEntityFactory, SiteFactory
from tests.factories.catalog import CategoryAssignmentFactory, CategoryFactory, ProductFactory, category_body
from tests.factories.coupons import CouponFactory
from tests.factories.segments import CustomerAssignmentFactory, SegmentFactory
from tests.waiting import PATIENCE

pytestmark = pytest.mark.django_db(transaction=True)

AT = datetime(2024, 5, 14, 12, tzinfo=UTC)
NAMED = (Category, Coupon, Customer, LegalEntity, Product, Redemption, Segment)


def elsewhere(work: Callable[[], object]) -> Any:
    """Do the work over another connection, which waits for no lock, and return what it comes to."""

    def run() -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '50ms'")
        return work()

    return in_thread(run).result(PATIENCE)


@pytest.fixture
def shop(tenant: Tenant) -> None:
    site = SiteFactory(tenant=tenant, code="main", is_default=True)
    SegmentFactory(site=site, external_id="s1")
    bikes = CategoryFactory(tenant=tenant, external_id="bikes", code="taken")
    CategoryFactory(parent=bikes, external_id="kids")
    CouponFactory(tenant=tenant, code="A", is_segment_restricted=False)
    CustomerFactory(tenant=tenant, external_id="C1")
    LegalEntityFactory(tenant=tenant, external_id="L1")
    CategoryAssignmentFactory(category=bikes, product=ProductFactory(tenant=tenant, external_id="P1"))


def stored() -> list[object]:
    return [row for model in NAMED for row in model.objects.order_by("pk").values()]


def write_everything(tenant: Tenant) -> None:
    """Write to one row of each kind, as other sessions do; each takes the locks that its kind asks for."""
    body = category_body("meanwhile", {"en": "Meanwhile"})
    upsert_category(tenant_id=tenant.pk, body=body, at=AT)
    with connection.cursor() as cursor:
        for model in (Tenant, *NAMED):
            cursor.execute(f"SELECT FROM {model._meta.db_table} FOR UPDATE")


@pytest.fixture
def held_dry_run(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stop every dry run when it has done its work and not yet ended, until another session has written."""
    written: list[str] = []

    @contextmanager
    def held(tables: Mapping[str, Rows], tenant_id: int) -> Iterator[None]:
        with shadowed(tables, tenant_id):
            yield
            elsewhere(lambda: write_everything(tenant))
            written.append("meanwhile")

    monkeypatch.setattr(writers, "shadowed", held)
    return written


CATEGORIES = (
    "id,parentId,localizedName.en,published,code,ecn\n"
    "new,bikes,New,true,x,n1\nbelow,new,Below,true,y,\nbikes,,Renamed,true,,n2\n"
    "bad,nowhere,Bad,true,,\nalso,,Also,true,X,\n"
)
COUPONS = (
    "code,name,discountType,discountPercentage,segmentRestricted,restrictions.segments\n"
    "A,Renamed,PERCENT,10,,\nB,New,PERCENT,10,true,s1\nC,Bad,PERCENT,10,true,s9\n"
)
REDEMPTIONS = (
    "code,customerNumber,orderTotal.amount,orderTotal.currency,discount.amount,discount.currency,redeemedAt\n"
    "A,C1,10,EUR,1,EUR,2024-01-01T00:00:00Z\nA,C1,10,EUR,1,EUR,2024-01-01T00:00:00Z\n"
    "A,C9,10,EUR,1,EUR,2024-01-01T00:00:00Z\n"
)
ENTITIES = "id,name,type,parentId\nL2,New,SUBSIDIARY,L1\nL3,Below,SUBSIDIARY,L2\nL1,Renamed,COMPANY,\n"


@pytest.mark.parametrize("size", [1, 100])
@pytest.mark.parametrize(
    ("command", "text", "counts"),
    [
        ("upsert_categories", CATEGORIES, {"created": 2, "changed": 1, "refused": 2}),
        ("upsert_coupons", COUPONS, {"created": 1, "changed": 1, "refused": 1}),
        ("import_redemptions", REDEMPTIONS, {"created": 1, "unchanged": 1, "refused": 1}),
        ("upsert_legal_entities", ENTITIES, {"created": 2, "changed": 1}),
    ],
)
def test_others_write_while_a_dry_run_is_at_work_and_it_foresees_what_the_import_does(
    shop, tenant, held_dry_run, tmp_path, command, text, counts, size
):
    path = tmp_path / "rows.csv"
    path.write_text(text)
    before = stored()

    foreseen = run_command(command, path, "--tenant=acme", "--json", "--dry-run", f"--batch-size={size}")

    assert foreseen.counts == counts
    assert held_dry_run == ["meanwhile"]
    delete_category(tenant_id=tenant.pk, external_id="meanwhile", with_subcategories=True)
    assert stored_but_places() == but_places(before)
    done = run_command(command, path, "--tenant=acme", "--json", f"--batch-size={size}")
    assert (done.counts, done.json["refusedByReason"]) == (counts, foreseen.json["refusedByReason"])


def but_places(rows: list[object]) -> list[object]:
    """Leave out where categories are, which the write in between has changed."""
    return [{name: value for name, value in row.items() if name not in ("lft", "rght")} for row in rows]


def stored_but_places() -> list[object]:
    return but_places(stored())


@pytest.mark.parametrize(
    ("command", "column", "names"),
    [
        ("upsert_categories", "id", ["kids", "bikes"]),
        ("upsert_coupons", "code", ["A"]),
        ("upsert_legal_entities", "id", ["L1"]),
        ("upsert_customers", "id", ["C1"]),
        ("upsert_products", "id", ["P1"]),
        ("upsert_segments", "id", ["s1"]),
    ],
)
def test_others_write_while_a_dry_run_of_a_removal_is_at_work(
    shop, tenant, held_dry_run, tmp_path, command, column, names
):
    path = tmp_path / "rows.csv"
    path.write_text("\n".join([column, *names, names[0], "unknown"]) + "\n")
    options = (path, "--tenant=acme", "--json", "--mode=delete")
    before = stored()

    foreseen = run_command(command, *options, "--dry-run")

    assert foreseen.counts == {"removed": len(names), "unchanged": 2}
    assert held_dry_run == ["meanwhile"]
    delete_category(tenant_id=tenant.pk, external_id="meanwhile", with_subcategories=True)
    assert stored_but_places() == but_places(before)
    assert run_command(command, *options).counts == foreseen.counts
    assert stored_but_places() != but_places(before)


def test_others_write_while_a_deletion_of_several_batches_is_judged(shop, tenant, held_dry_run, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("id\nkids\nbikes\n")

    done = run_command(
        "upsert_categories", path, "--tenant=acme", "--json", "--mode=delete", "--batch-size=1"
    )

    assert held_dry_run == ["meanwhile"]
    assert done.counts == {"removed": 2}
    assert list(Category.objects.values_list("external_id", flat=True)) == ["meanwhile"]


PARTIAL = [
    ("upsert_categories", "id,code,ecn\nbikes,,n1\n", Category, "code", None),
    ("upsert_coupons", "code,description,name\nA,,Renamed\n", Coupon, "description", ""),
    ("upsert_legal_entities", "id,approvalGroup,name\nL1,,Renamed\n", LegalEntity, "approval_group", []),
]


@pytest.mark.parametrize(("command", "text", "model", "name", "empty"), PARTIAL)
def test_a_dry_run_on_copies_lists_the_columns_that_are_emptied(
    shop, tenant, held_dry_run, tmp_path, command, text, model, name, empty
):
    Coupon.objects.update(description="About A")
    LegalEntity.objects.update(approval_group=[{"id": "a"}])
    known = model.objects.filter(
        **{"code" if model is Coupon else "external_id": text.split("\n")[1].split(",")[0]}
    )
    value = getattr(known.get(), name)
    path = tmp_path / "rows.csv"
    path.write_text(text)

    foreseen = run_command(command, path, "--tenant=acme", "--json", "--dry-run")

    assert held_dry_run == ["meanwhile"]
    assert (foreseen.counts, foreseen.json["emptied"]) == ({"changed": 1}, {text.split(",")[1]: 1})
    assert getattr(known.get(), name) == value
    assert run_command(command, path, "--tenant=acme", "--json").counts == foreseen.counts
    assert getattr(known.get(), name) == empty != value


def change(row: Any, values: Mapping[str, Any]) -> None:
    if isinstance(row, Category):
        body = category_body(row.external_id, code=row.code, **values)
        upsert_category(tenant_id=row.tenant_id, body=body, at=AT)
        return
    type(row).objects.filter(pk=row.pk).update(version=row.version + 1, **values)


@pytest.mark.parametrize("option", [(), ("--atomic",)])
@pytest.mark.parametrize(
    ("command", "text", "model", "key", "changes"),
    [
        ("upsert_categories", "id,code\nbikes,new\n", Category, "external_id", {"name": {"en": "Quicker"}}),
        ("upsert_coupons", "code,description\nA,new\n", Coupon, "code", {"name": "Quicker"}),
        (
            "upsert_legal_entities",
            "id,type\nL1,SUBSIDIARY\n",
            LegalEntity,
            "external_id",
            {"name": "Quicker"},
        ),
    ],
)
def test_what_is_written_while_rows_are_completed_is_not_undone_by_them(
    shop, tenant, monkeypatch, tmp_path, command, text, model, key, changes, option
):
    """The file has another column than the one that somebody changes before the import has its locks."""
    upserted = writers.UpsertWriter._upserted
    known = model.objects.filter(**{key: text.split("\n")[1].split(",")[0]})
    before = known.get()
    pending = [changes]

    def overtaken(writer: Any, batch: Any, plan: Any, confirm: Any) -> Any:
        if pending:
            values = pending.pop()
            elsewhere(lambda: change(known.get(), values))
        return upserted(writer, batch, plan, confirm)

    monkeypatch.setattr(writers.UpsertWriter, "_upserted", overtaken)
    path = tmp_path / "rows.csv"
    path.write_text(text)

    done = run_command(command, path, "--tenant=acme", "--json", *option)

    assert done.counts == {"changed": 1}
    after = known.get()
    assert {name: getattr(after, name) for name in changes} == changes
    assert after.version == before.version + 2


def test_an_import_of_unchanged_categories_takes_no_lock(shop, tenant, holder, impatient, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("id,code\nbikes,taken\n")
    holder.execute("SELECT pg_advisory_xact_lock(%s, %s)", [int(Lock.CATEGORY_TREE), tenant.pk])

    assert run_command("upsert_categories", path, "--tenant=acme", "--json").counts == {"unchanged": 1}


def test_an_import_that_planned_before_another_write_plans_again(shop, tenant, monkeypatch):
    lock = category_imports.locked_tree
    pending = [category_body("quicker", {"en": "Quicker"}, code="X", parent_id="bikes")]

    def overtaken(tenant_id: int) -> Any:
        if pending:
            body = pending.pop()
            elsewhere(lambda: create_category(tenant_id=tenant_id, body=body, at=AT))
        return lock(tenant_id)

    monkeypatch.setattr(category_imports, "locked_tree", overtaken)
    rows = [
        category_body(external_id="slower", name={"en": "Slower"}, code="x", parent_id="bikes"),
        category_body(external_id="below", name={"en": "Below"}, parent_id="quicker"),
    ]

    outcomes = upsert_categories_in_bulk(tenant_id=tenant.pk, rows=rows, at=AT)

    assert [type(outcome.error) for outcome in outcomes] == [DuplicatedCode, type(None)]
    assert Category.objects.get(external_id="below").parent.external_id == "quicker"
    assert not Category.objects.filter(external_id="slower").exists()
    assert tree_problems(tenant.pk) == []


def test_an_import_plans_while_another_session_holds_the_tree(shop, tenant, holder, monkeypatch):
    """Only the write waits: when it asks for the lock, the plan is made."""
    holder.execute("SELECT pg_advisory_xact_lock(%s, %s)", [int(Lock.CATEGORY_TREE), tenant.pk])
    plans: list[int] = []
    plan, lock = category_imports.planned_write, category_imports.locked_tree

    def counted(*arguments: object) -> Any:
        plans.append(1)
        return plan(*arguments)

    def released(tenant_id: int) -> Any:
        assert plans == [1]
        holder.rollback()
        return lock(tenant_id)

    monkeypatch.setattr(category_imports, "planned_write", counted)
    monkeypatch.setattr(category_imports, "locked_tree", released)
    row = category_body(external_id="new", name={"en": "New"})

    upsert_categories_in_bulk(tenant_id=tenant.pk, rows=[row], at=AT)

    assert plans == [1]
    assert Category.objects.filter(external_id="new").exists()


def test_an_import_of_all_or_nothing_plans_the_whole_file_at_once(shop, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("id,parentId,localizedName.en,published\nbelow,top,Below,true\ntop,,Top,true\n")

    in_parts = run_command(
        "upsert_categories", path, "--tenant=acme", "--json", "--batch-size=1", "--dry-run"
    )
    at_once = run_command("upsert_categories", path, "--tenant=acme", "--json", "--batch-size=1", "--atomic")

    assert in_parts.counts == {"created": 1, "refused": 1}
    assert at_once.counts == {"created": 2}
    assert Category.objects.get(external_id="below").parent.external_id == "top"


def test_an_import_that_waits_too_long_says_for_what_and_can_be_resumed(
    shop, tenant, holder, impatient, tmp_path
):
    path = tmp_path / "rows.csv"
    path.write_text("id,localizedName.en,published\nnew,New,true\n")
    holder.execute("SELECT pg_advisory_xact_lock(%s, %s)", [int(Lock.CATEGORY_TREE), tenant.pk])

    waited = run_command("upsert_categories", path, "--tenant=acme")

    assert waited.status == 2
    assert "somebody else was changing the category tree" in waited.message
    assert "--resume goes on behind them" in waited.message
    assert ImportRun.objects.get().state == ImportState.FAILED
    assert not Category.objects.filter(external_id="new").exists()
    holder.rollback()
    assert run_command("upsert_categories", path, "--tenant=acme", "--resume").status == 0
    assert Category.objects.filter(external_id="new").exists()


def test_repairing_a_tree_that_somebody_changes_says_so(shop, tenant, holder, impatient):
    with connection.cursor() as cursor:
        cursor.execute("UPDATE catalog_category SET lft = 77 WHERE external_id = 'kids'")
    holder.execute("SELECT pg_advisory_xact_lock(%s, %s)", [int(Lock.CATEGORY_TREE), tenant.pk])

    with pytest.raises(OperationalError, match="somebody else was changing the category tree"):
        run_command("check_category_tree", "--fix")  # the command line says it in one sentence

    holder.rollback()
    assert run_command("check_category_tree", "--fix").status == 0
    assert tree_problems(tenant.pk) == []


@pytest.mark.parametrize("is_loaded", [False, True])
def test_only_the_first_load_of_the_demo_shop_is_one_transaction(tenant, monkeypatch, is_loaded):
    if is_loaded:
        ProductFactory(tenant=tenant)
    transactions: list[bool] = []
    monkeypatch.setattr(loading, "Source", lambda: None)
    monkeypatch.setattr(loading, "_load", lambda *arguments: transactions.append(connection.in_atomic_block))

    loading.load_demo_shop(tenant_name="acme", calendar=Calendar(), at=AT, progress=None)

    assert transactions == [not is_loaded]


def test_a_batch_of_a_removal_is_small_whatever_its_kind(shop, tmp_path, monkeypatch):
    """A removal locks what it deletes and all that goes along, so it commits often."""
    path = tmp_path / "rows.csv"
    path.write_text("id\n" + "".join(f"X{number}\n" for number in range(writers.DELETIONS_AT_ONCE + 1)))
    sizes: list[int] = []
    removal = writers.remove_rows

    def counted(batch: Any, remove: Any) -> Any:
        tally = removal(batch, remove)
        if not batch.dry_run:
            sizes.append(tally.rows)
        return tally

    monkeypatch.setattr(writers, "remove_rows", counted)
    run_command("upsert_customers", path, "--tenant=acme", "--json", "--mode=delete")

    assert sum(sizes) == writers.DELETIONS_AT_ONCE + 1
    assert sizes[0] == FIRST_DELETIONS
    assert max(sizes) <= writers.DELETIONS_AT_ONCE


@pytest.mark.parametrize(
    ("rows", "seconds", "following"),
    [
        (20_000, 0.5, 80_000),
        (20_000, 0.0, 200_000),
        (20_000, 4.0, 20_000),
        (100_000, 4.0, 50_000),
        (100_000, 30.0, 20_000),
    ],
)
def test_a_slice_of_new_rows_grows_while_slices_take_less_time_than_a_write_waits(rows, seconds, following):
    assert rows_of_next_slice(20_000, rows, seconds, has_changes=False) == following
    assert rows_of_next_slice(20_000, rows, seconds, has_changes=True) == 20_000


def test_only_files_without_a_batch_size_of_their_own_are_staged_in_large_parts(tenant, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("segmentId,customerId\n")
    with InputFile(str(path)) as file:
        order = ImportOrder(MEMBERS_OF_SEGMENTS, tenant, file)

    assert part_size(order) == 1_000_000
    assert part_size(replace(order, batch_size=500)) == 0
    assert part_size(replace(order, mode=Mode.DELETE)) == 0
    assert part_size(replace(order, kind=CATEGORY_FILES)) == 0


def test_what_new_assignments_name_can_be_changed_meanwhile(shop, tenant):
    """Changes of customers, products, segments and companies do not wait for rows that refer to them."""

    def change() -> None:
        set_segment_status(segments=Segment.objects.all(), status="INACTIVE", at=AT)
        publish_products(products=Product.objects.all(), is_published=False, at=AT)
        with transaction.atomic():
            locked_segment(tenant_id=tenant.id, segment_id="s1").save()
            for model, name in ((Customer, "C1"), (LegalEntity, "L1")):
                row = existing_document(model, tenant_id=tenant.id, external_id=name)
                model.objects.locked(row.pk).save()

    with transaction.atomic(), connection.cursor() as cursor:
        for model in (Customer, Segment, Product, LegalEntity):
            cursor.execute(f"SELECT FROM {model._meta.db_table} FOR KEY SHARE")
        elsewhere(change)
    assert set(Segment.objects.values_list("status", flat=True)) == {"INACTIVE"}


def test_a_replacement_holds_neither_its_segment_nor_rows_between_slices(
    shop: None, tenant: Tenant, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for number in range(2, 6):
        CustomerFactory(tenant=tenant, external_id=f"C{number}")
    segment = Segment.objects.get(external_id="s1")
    for customer in Customer.objects.all():
        CustomerAssignmentFactory(segment=segment, customer=customer)
    path = tmp_path / "rows.csv"
    path.write_text("segmentId,customerId\ns1,C1\n")
    removed: list[int] = []

    def between(runner: Any, tally: Any) -> None:
        elsewhere(lambda: write_everything(tenant))
        elsewhere(lambda: CustomerAssignment.objects.update(mixins={"n": len(removed)}))
        removed.append(tally.removed)

    monkeypatch.setattr(ImportRunner, "_tell_progress", between)
    run_command("upsert_segment_customers", path, tenant="acme", mode="replace", batch_size=2)
    assert removed == [0, 4]
    assert [row.customer.external_id for row in CustomerAssignment.objects.all()] == ["C1"]


def test_one_replacement_waits_for_another(
    shop: None, tenant: Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("segmentId,customerId\ns1,C1\n")
    messages: list[str] = []
    other = connection.copy()

    def waiting(progress: Any, message: str) -> None:
        messages.append(message)
        other.close()  # the other replacement ends

    monkeypatch.setattr(ImportProgress, "waiting", waiting)
    with other.cursor() as cursor:
        key = [int(Lock.REPLACEMENT), f"segment_customers {tenant.pk}"]
        cursor.execute("SELECT pg_advisory_lock(%s, hashtext(%s))", key)
    assert run_command("upsert_segment_customers", path, tenant="acme", mode="replace").status == 0
    assert messages == ["Waiting: another process replaces customers of segments of acme."]


def test_all_or_nothing_says_how_long_others_may_wait(
    shop: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("id,name\n" + "".join(f"L{number},x\n" for number in range(2_001)))
    run_command("upsert_legal_entities", path, tenant="acme", atomic=True)
    assert "All or nothing" not in capsys.readouterr().err  # fewer rows than a batch
    path.write_text("code,name,discountType,discountPercentage\n" + "A,x,PERCENT,5\n" * 2_001)
    run_command("upsert_coupons", path, tenant="acme", atomic=True)
    assert "All or nothing: 2,001 rows are one transaction." in capsys.readouterr().err


FILES = {
    "upsert_categories": "id,code\nbikes,new\n",
    "upsert_coupons": "code,description\nA,new\n",
    "upsert_legal_entities": "id,type\nL1,SUBSIDIARY\n",
    "upsert_customers": "id,contactEmail\nC1,new@example.com\n",
    "upsert_products": "id,code\nP1,new\n",
    "upsert_segment_customers": "segmentId,customerId\ns1,C1\n",
}


@pytest.mark.parametrize("command", FILES)
def test_what_is_locked_for_too_long_is_not_applied(shop, tmp_path, command):
    """The first statement after the locks were taken comes too late."""
    path = tmp_path / "rows.csv"
    path.write_text(FILES[command])
    before = stored()

    done = run_command(command, path, "--tenant=acme", "--json", "--atomic", "--longest-lock=0.000001")

    assert (done.status, done.json["error"]) == (2, "locked_for_too_long")
    assert "without --atomic" in done.json["message"]
    assert "--longest-lock SECONDS" in done.json["message"]
    assert stored() == before
    assert not CustomerAssignment.objects.exists()
    assert ImportRun.objects.get().state == ImportState.FAILED
    again = run_command(command, path, "--tenant=acme", "--json", "--resume", "--longest-lock=0.000001")
    assert again.status == 0  # a batch of the usual size has no limit


def test_a_deletion_of_all_or_nothing_is_limited_as_well(shop, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("id\nkids\n")
    arguments = [path, "--tenant=acme", "--json", "--atomic", "--mode=delete", "--longest-lock=0.000001"]
    assert run_command("upsert_categories", *arguments).json["error"] == "locked_for_too_long"
    assert Category.objects.filter(external_id="kids").exists()


def test_values_that_change_hands_say_what_else_to_do(shop, tenant, tmp_path):
    ProductFactory(tenant=tenant, external_id="P2", code="two")
    Product.objects.filter(external_id="P1").update(code="one")
    path = tmp_path / "rows.csv"
    path.write_text("id,code\nP1,two\nP2,one\n")
    arguments = [path, "--tenant=acme", "--json", "--batch-size=1"]
    done = run_command("upsert_products", *arguments, "--longest-lock=0.000001")
    assert done.json["error"] == "locked_for_too_long"
    assert "Let them change hands in several files" in done.json["message"]
    assert Product.objects.get(external_id="P1").code == "one"
    assert run_command("upsert_products", *arguments, "--resume").counts == {"changed": 2}


def test_a_statement_that_runs_when_the_time_is_over_is_cancelled(shop, tenant, holder, tmp_path):
    """The import waits for a customer, while it holds the segment."""
    holder.execute("SELECT FROM accounts_customer FOR UPDATE")
    path = tmp_path / "rows.csv"
    path.write_text("segmentId,customerId\ns1,C1\n")
    arguments = [path, "--tenant=acme", "--json", "--atomic", "--longest-lock=0.3"]
    assert run_command("upsert_segment_customers", *arguments).json["error"] == "locked_for_too_long"
    holder.rollback()
    assert run_command("upsert_segment_customers", *arguments[:4]).counts == {"created": 1}


@pytest.mark.parametrize("text", ["0", "-1", "soon", "nan", "100000"])
def test_the_longest_lock_is_a_number_of_seconds(shop, tmp_path, text):
    path = tmp_path / "rows.csv"
    path.write_text(FILES["upsert_products"])
    refused = run_command("upsert_products", path, "--tenant=acme", f"--longest-lock={text}")
    assert "a number of seconds, at most 86,400" in refused.message
