"""Imports whose rows come from a page and not from a file: they are kept in parts, looked at, then applied.

A prepared import has written nothing but its parts. It is applied part by part, each in one transaction:
at once when it is short, else in the background, so that memory does not grow with the number of rows.
"""

import hashlib
import socket
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from tempfile import TemporaryFile
from typing import Any

import orjson
from django.db import transaction

from core.actors import Actor, ActorType, acting_as, with_source
from core.background.jobs import JobKind, enqueue_job, register_job_kind
from core.background.models import Job
from core.errors import Conflict
from core.imports.merge import COUNTS, Refusal, Tally
from core.imports.merge_statements import Mode
from core.imports.models import ImportPart, ImportReject, ImportRun, ImportState
from core.imports.records import Record
from core.imports.resources import Batch, ImportResource, registered_resources
from core.tenancy.callers import TenantRecord
from core.tenancy.models import Tenant

ROWS_OF_PART = 5_000
KEPT_REJECTS = 1_000
SHOWN_REFUSALS = 100
STORED_ALREADY = "already_exists"
JOB = "apply prepared import"

PreparedRow = tuple[int, Mapping[str, Any]]
"""The line that a row comes from, and its body."""


class NotPrepared(Conflict):
    """The import has been applied already, or was prepared too long ago."""

    code = "import_not_prepared"


@dataclass(slots=True)
class Outlook:
    """What a prepared import would do, and the first refused rows, but for those stored already."""

    tally: Tally
    refusals: list[Refusal] = field(default_factory=list)


@transaction.atomic
def prepare_import(
    *, kind: ImportResource, mode: Mode, tenant_id: int, rows: Iterable[PreparedRow], name: str, by: str
) -> ImportRun:
    """Keep the rows as an import that has not begun, taking them part by part."""
    run = ImportRun.objects.create(
        tenant_id=tenant_id,
        kind=kind.name,
        mode=mode,
        state=ImportState.PREPARED,
        started_by=by[:150],
        host=socket.gethostname(),
        file_name=name[:1_000],
        file_digest="",
    )
    digest = hashlib.sha256()
    remaining = iter(rows)
    for number, part in enumerate(iter(lambda: list(islice(remaining, ROWS_OF_PART)), [])):
        ImportPart.objects.create(run=run, number=number, rows=part, count=len(part))
        content = orjson.dumps(part)
        digest.update(content)
        run.file_size += len(content)
    run.file_digest = digest.hexdigest()
    run.save(update_fields=["file_size", "file_digest"])
    return run


def outlook_of(run: ImportRun, *, at: datetime) -> Outlook:
    """Say what applying the import would do; it locks and writes nothing."""
    outlook = Outlook(Tally())

    def refuse(refusal: Refusal) -> None:
        if refusal.code != STORED_ALREADY and len(outlook.refusals) < SHOWN_REFUSALS:
            outlook.refusals.append(replace(refusal, line=lines[refusal.line]))

    lines = array("q")  # by the number of the row, which the engine takes for its line: lines have several
    kind = registered_resources()[run.kind]
    # The connection takes the rows by one COPY, during which it can read nothing: they wait in a file.
    with TemporaryFile() as spool:
        for part in run.parts.order_by("number").iterator(chunk_size=1):
            spool.writelines(orjson.dumps(body) + b"\n" for _, body in part.rows)
            lines.extend(line for line, _ in part.rows)
        spool.seek(0)
        rows = (orjson.loads(body) for body in spool)
        outlook.tally = kind.writer.write(_batch(run, _records(rows), refuse, at, dry_run=True))
    outlook.refusals.sort(key=lambda refusal: refusal.line)
    return outlook


def apply_import(run: ImportRun, *, by: str, at: datetime) -> Job | None:
    """Apply a prepared import: at once when it is one part, else by the job that is returned.

    Raises NotPrepared when it has been applied.
    """
    with transaction.atomic():
        run = ImportRun.objects.select_for_update().get(pk=run.pk)
        if run.state != ImportState.PREPARED:
            raise NotPrepared("This list has been applied already. Nothing was added a second time.")
        run.state = ImportState.RUNNING
        run.save(update_fields=["state"])
        if run.parts.count() > 1:
            return enqueue_job(
                JOB, tenant_id=run.tenant_id, arguments={"run": run.pk}, requested_by=by, at=at
            )
        with with_source("import", str(run.pk)):
            apply_part(run, at=at)
    return None


@transaction.atomic
def apply_part(run: ImportRun, *, at: datetime) -> bool:
    """Apply the next part of the import and note what came of it; say whether more is left."""
    part = run.parts.order_by("number").first()
    if part is not None:
        lines = [line for line, _ in part.rows]
        refused: list[ImportReject] = []
        kept = max(0, KEPT_REJECTS - run.refused)

        def refuse(refusal: Refusal) -> None:
            if len(refused) < kept:
                refused.append(
                    ImportReject(
                        run=run,
                        line=lines[refusal.line],
                        reason=refusal.code,
                        message=refusal.message,
                        source="",
                    )
                )

        kind = registered_resources()[run.kind]
        tally = kind.writer.write(
            _batch(run, _records(body for _, body in part.rows), refuse, at, dry_run=False)
        )
        for name in COUNTS:
            setattr(run, name, getattr(run, name) + getattr(tally, name))
        for code, count in tally.reasons.items():
            run.refused_by_reason[code] = run.refused_by_reason.get(code, 0) + count
        ImportReject.objects.bulk_create(refused)
        part.delete()
    has_more = run.parts.exists()
    if not has_more:
        run.state, run.finished_at = ImportState.FINISHED, at
    run.save()
    return has_more


def _records(bodies: Iterable[Mapping[str, Any]]) -> Iterator[Record]:
    return (Record(number, "", body) for number, body in enumerate(bodies))


def _batch(
    run: ImportRun,
    records: Iterator[Record],
    refuse: Callable[[Refusal], None],
    at: datetime,
    *,
    dry_run: bool,
) -> Batch:
    tenant = Tenant.objects.get(pk=run.tenant_id)
    return Batch(
        records=records,
        header=(),
        tenant=TenantRecord(
            tenant.pk, tenant.name, tenant.default_language, tuple(tenant.languages), tenant.currency
        ),
        at=at,
        mode=Mode(run.mode),
        dry_run=dry_run,
        size=ROWS_OF_PART,
        refuse=refuse,
        unread=lambda line, reason: None,
        count_stored=None,
    )


def _run_job(job: Job, at: datetime) -> bool:
    run = ImportRun.objects.get(pk=job.arguments["run"], tenant=job.tenant_id)
    actor = Actor(ActorType.STAFF, job.requested_by, "", "import", str(run.pk))
    with acting_as(actor):
        has_more = apply_part(run, at=at)
    job.progress = {"rows": run.rows, "left": sum(run.parts.values_list("count", flat=True))}
    job.result = {name: getattr(run, name) for name in COUNTS}
    return has_more


register_job_kind(JobKind(JOB, run=_run_job))
