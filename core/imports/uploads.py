"""Imports of files that come in a request: read at once, kept in parts, applied by a background worker."""

import hashlib
import io
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction

from core.background.jobs import enqueue_job
from core.errors import Conflict, InvalidInput
from core.imports.columns import ReadingOptions
from core.imports.files import Format, InputFile, UnreadableFile, format_of
from core.imports.merge_statements import Mode
from core.imports.models import ImportReject, ImportRun
from core.imports.parts import (
    JOB,
    MAX_REMOVED,
    ROWS_OF_PART,
    PreparedRow,
    store_parts,
)
from core.imports.rejects import kept_reject
from core.imports.removals import REMOVING_MODES, UnreadLines, read_removal_limit
from core.imports.resources import ImportResource
from core.imports.runner import WHOLE_FILE
from core.imports.runs import RECORD_FILES, columns_of_file
from core.imports.writers import refusal_of
from core.journal.undo.jobs import actor_as_json, requested_by
from core.tenancy.callers import TenantRecord
from core.tenancy.limits import require_room


class RequestDiffers(Conflict):
    """The Idempotency-Key was sent before, with another file or other parameters."""

    code = "idempotency_key_reused"


@dataclass(frozen=True, slots=True)
class Upload:
    """A file and what is asked for. `format` None is told by the name, or by the first character."""

    kind: ImportResource
    mode: Mode
    tenant: TenantRecord
    content: bytes
    name: str
    format: Format | None = None
    is_dry_run: bool = False
    max_removed: str = ""
    request_key: str = ""


def submit_import(upload: Upload, *, at: datetime) -> ImportRun:
    """Queue the import; a request with the same key returns the import of the first one.

    Raises TenantIsFull, RequestDiffers, and InvalidInput for a file that cannot be read, or that has an
    unreadable line and is to remove rows.
    """
    if upload.mode is not Mode.DELETE:
        require_room(upload.tenant)
    if upload.max_removed:
        if upload.mode not in REMOVING_MODES:
            raise InvalidInput(
                f"{MAX_REMOVED} is for the modes replace and delete; {upload.mode} removes nothing.",
                field=MAX_REMOVED,
            )
        if read_removal_limit(upload.max_removed) is None:
            raise InvalidInput(
                f"{MAX_REMOVED} is a number of rows, or a share from 0% to 100%.", field=MAX_REMOVED
            )
    digest = hashlib.sha256(upload.content).hexdigest()
    if earlier := _earlier(upload, digest):
        return earlier
    try:
        return _queue(upload, digest, at)
    except IntegrityError:  # the same request, at the same moment
        earlier = _earlier(upload, digest)
        if earlier is None:
            raise
        return earlier
    except UnreadableFile as error:
        raise InvalidInput(error.message, field="file") from error


def _earlier(upload: Upload, digest: str) -> ImportRun | None:
    if not upload.request_key:
        return None
    runs = ImportRun.objects.filter(tenant=upload.tenant.id, request_key=upload.request_key)
    run = runs.first()
    if run is None:
        return None
    asked = (upload.kind.name, upload.mode, upload.is_dry_run, upload.max_removed, digest)
    if (run.kind, run.mode, run.is_dry_run, run.max_removed, run.file_digest) != asked:
        raise RequestDiffers(
            f"The Idempotency-Key belongs to import {run.pk}, of another file or with other parameters."
            " Send another key.",
            field="Idempotency-Key",
        )
    return run


@transaction.atomic
def _queue(upload: Upload, digest: str, at: datetime) -> ImportRun:
    run = ImportRun.objects.create(
        tenant_id=upload.tenant.id,
        kind=upload.kind.name,
        mode=upload.mode,
        started_by=requested_by()[:150],
        host=socket.gethostname(),
        file_name=upload.name[:1_000],
        file_size=len(upload.content),
        file_digest=digest,
        is_dry_run=upload.is_dry_run,
        max_removed=upload.max_removed,
        request_key=upload.request_key,
    )
    refused: list[ImportReject] = []
    size = WHOLE_FILE if upload.mode is Mode.REPLACE else ROWS_OF_PART
    count = sum(len(part) for part in store_parts(run, _rows(upload, run, refused), size=size))
    if not count and not refused:
        raise InvalidInput("The file has no rows.", field="file")
    ImportReject.objects.bulk_create(refused)
    run.rows = run.refused = len(refused)
    for reject in refused:
        run.refused_by_reason[reject.reason] = run.refused_by_reason.get(reject.reason, 0) + 1
    run.save(update_fields=["rows", "refused", "refused_by_reason", "file_header"])
    enqueue_job(
        JOB,
        tenant_id=run.tenant_id,
        arguments={"run": run.pk, "actor": actor_as_json()},
        requested_by=requested_by(),
        at=at,
    )
    return run


def _rows(upload: Upload, run: ImportRun, refused: list[ImportReject]) -> Iterator[PreparedRow]:
    """Yield the rows that can be read; add the others to `refused`.

    Raises InvalidInput where rows are to be removed and not all can be read.
    """
    unread = UnreadLines()
    with InputFile(upload.name, stream=io.BytesIO(upload.content)) as file:
        if file.is_compressed():
            raise InvalidInput("The file is compressed; send it as it is.", field="file")
        kind = format_of(file, upload.format)
        columns = columns_of_file(upload.kind, upload.mode)
        reading = ReadingOptions(languages=upload.tenant.languages)
        language = upload.tenant.default_language
        rows = RECORD_FILES[kind](file, kind, columns, default_language=language, options=reading)
        if kind is Format.CSV:
            run.file_header = {"names": rows.header.given_names, "delimiter": rows.header.delimiter}
        for record in rows:
            if record.error is None and record.body is not None:
                given = record.given
                yield (record.line, record.body, record.source, sorted(given.names), list(given.emptied))
                continue
            assert record.error is not None
            unread.add(record.line, record.error.message)
            refused.append(kept_reject(run, refusal_of(record, record.error)))
        unread.add_cut_off(file)
    if unread.count and upload.mode in REMOVING_MODES:
        raise InvalidInput(unread.error().message, field="file")
