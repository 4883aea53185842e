"""Events of rules: a whole evaluation has ended."""

from core.journal.declarations import RecordedDocument, recorded_as
from core.representation.fields import Integer, Text, Time
from core.sql.composition import Sql, sql
from events.feed.sources import EventSource, register_event_source
from events.feed.states import document_after
from segments.models import Rule

rule = recorded_as("segment-rule")
assert isinstance(rule, RecordedDocument)
assert rule.model is Rule
register_event_source(
    EventSource(
        objects=("segment-rule",),
        kinds={"updated": "rule.evaluated"},
        payloads={
            "rule.evaluated": {
                "segmentId": Text("change.external_id"),
                "added": Integer("rule.added"),
                "removed": Integer("rule.removed"),
                "members": Integer("rule.members"),
                "evaluatedAt": Time("rule.evaluated_at"),
                "tenant": Text("change.tenant"),
            }
        },
        tables=sql("change{document}", document=document_after(rule, "rule")),
        order_key=Sql("'rule ' || change.external_id"),
        condition=Sql("change.after ->> 'evaluated_at' IS NOT NULL"),
    )
)
