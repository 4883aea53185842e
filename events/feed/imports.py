"""Events of imports."""

from core.imports.models import ImportRun
from core.journal.declarations import RecordedDocument, recorded_as
from core.representation.fields import Integer, Nested, Text, Time
from core.sql.composition import Sql, sql
from events.feed.sources import EventSource, register_event_source
from events.feed.states import document_after

COUNTS = ("rows", "created", "changed", "unchanged", "repeated", "removed", "refused")

run = recorded_as("import-run")
assert isinstance(run, RecordedDocument)
assert run.model is ImportRun
register_event_source(
    EventSource(
        objects=("import-run",),
        kinds={"updated": "import.finished"},
        payloads={
            "import.finished": {
                "runId": Text("change.external_id"),
                "kind": Text("run.kind"),
                "mode": Text("run.mode"),
                "status": Text("run.state"),
                "counts": Nested({name: Integer(f"present.{name}") for name in COUNTS}),
                "startedAt": Time("run.started_at"),
                "finishedAt": Time("run.finished_at"),
                "tenant": Text("change.tenant"),
            }
        },
        tables=sql(
            "change{document} LEFT JOIN imports_importrun AS present"
            " ON present.tenant_id = change.tenant_id AND present.id = change.key",
            document=document_after(run, "run"),
        ),
        order_key=Sql("'import ' || change.external_id"),
        # resuming clears the instant, and undoing leaves it as it is
        condition=Sql("change.after ->> 'finished_at' IS NOT NULL"),
    )
)
