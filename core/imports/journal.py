"""What the journal records of imports: that one began, and how it ended. Its row says how far it is."""

from core.imports.models import ImportRun
from core.journal.declarations import RecordedDocument, all_columns, record

RECORDED = {"kind", "mode", "state", "started_at", "finished_at"}
NEVER_DERIVED = {"id", "tenant_id", "file_digest"}

record(
    RecordedDocument(
        model=ImportRun,
        object="import-run",
        external_id="it.id::text",
        secret=("file_digest",),
        derived=tuple(
            name for name in all_columns(ImportRun) if name not in RECORDED and name not in NEVER_DERIVED
        ),
    )
)
