"""What needs a merchandiser's attention among rules."""

from datetime import datetime

from django.utils.translation import gettext_noop

from core.sql.composition import Sql, integer, param, sql
from segments.findings import Finding, register_findings
from segments.rules.evaluation import SLOW


def rules_where(condition: Sql, details: Sql) -> Sql:
    return sql(
        "SELECT segment.external_id AS id, segment.name AS name,"
        " {details} AS details FROM segments_rule AS rule JOIN segments_segment AS segment"
        " ON segment.tenant_id = rule.tenant_id AND segment.id = rule.segment_id WHERE {condition}",
        details=details,
        condition=condition,
    )


def of_tenant(rows: Sql, tenant_id: int) -> Sql:
    return sql("{rows} AND rule.tenant_id = {tenant}", rows=rows, tenant=param(tenant_id))


FAILED = rules_where(Sql("rule.state = 'FAILED'"), Sql("jsonb_build_object('message', rule.message)"))
SLOW_RULES = rules_where(
    sql("rule.milliseconds > {slow}", slow=integer(SLOW)),
    Sql("jsonb_build_object('milliseconds', rule.milliseconds)"),
)
DRIFTED = rules_where(Sql("rule.drift > 0"), Sql("jsonb_build_object('drift', rule.drift)"))


def failed(tenant_id: int, at: datetime) -> Sql:
    return of_tenant(FAILED, tenant_id)


def slow(tenant_id: int, at: datetime) -> Sql:
    return of_tenant(SLOW_RULES, tenant_id)


def drifted(tenant_id: int, at: datetime) -> Sql:
    return of_tenant(DRIFTED, tenant_id)


register_findings(
    Finding(
        "rule_failed",
        "error",
        "segment",
        gettext_noop(
            "The rule of the segment cannot be evaluated, so its members stay as they are: correct the rule."
        ),
        failed,
    ),
    Finding(
        "rule_slow",
        "warning",
        "segment",
        gettext_noop(
            "Evaluating the rule takes more than 30 seconds; after 60 it fails. Take out terms or windows."
        ),
        slow,
    ),
    Finding(
        "rule_drifted",
        "warning",
        "segment",
        gettext_noop(
            "The daily evaluation found members that no change explains. They are right now; report this."
        ),
        drifted,
    ),
)
