from argparse import ArgumentParser
from collections.abc import Sequence

import orjson
from django.core.management.base import BaseCommand, CommandError

from core.json_types import JsonObject
from core.representation.fields import Languages
from core.sql.composition import Sql, param, sql
from core.sql.fetching import fetch_rows
from core.tenancy.commands import tenant_named
from segments.changes import CHANGE, OF_RULES, OF_SEGMENT, keys_ever, of_member

LARGEST_PAGE = 10_000
NOUNS = {
    "segment": ("the segment", "the segment"),
    "segment-customer": ("customer", "customers"),
    "segment-product": ("product", "products"),
    "segment-category": ("category", "categories"),
    "segment-rule": ("the rule", "the rule"),
    "segment-rule-exclusion": ("the exclusion of a customer", "the exclusion of a customer"),
}
VERBS = {"created": "added", "updated": "changed", "deleted": "removed"}


class Command(BaseCommand):
    help = (
        "Show who changed a segment, its customers, its items and its rule, and when, newest first; also of a"
        " segment that is gone. With --customer, the changes that touched one member."
        " Example: show_history gold --tenant acme --customer C1"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("segment", help="the segment's id")
        parser.add_argument("--tenant", required=True, help="the tenant's name")
        parser.add_argument("--customer", metavar="NUMBER", help="only changes of this member")
        parser.add_argument(
            "--limit", type=int, default=100, metavar="N", help=f"at most so many, up to {LARGEST_PAGE} (100)"
        )

    def handle(
        self, *, segment: str, tenant: str, customer: str | None, limit: int, **options: object
    ) -> None:
        tenant_id = tenant_named(tenant).pk
        if not 1 <= limit <= LARGEST_PAGE:
            raise CommandError(f"--limit is a number from 1 to {LARGEST_PAGE}.")
        changes = history(tenant_id, segment, customer, limit + 1)
        if not changes:
            of_whom = f" of the customer {customer}" if customer else ""
            raise CommandError(f"The journal has no change{of_whom} in a segment {segment}.")
        for change in changes[:limit]:
            self.stdout.write(in_words(change))
        if len(changes) > limit:
            self.stdout.write(f"There are more; raise --limit above {limit} to see them.")


def history(tenant_id: int, segment: str, customer: str | None, limit: int) -> Sequence[dict[str, object]]:
    """Return the newest changes of a segment, or of one of its members, as clients read them."""
    segments = keys_ever(tenant_id, table=Sql("segments_segment"), object_name="segment", external_id=segment)
    if customer:
        customers = keys_ever(
            tenant_id, table=Sql("accounts_customer"), object_name="customer", external_id=customer
        )
        condition = of_member(tenant_id, segments, customers, None)
    else:
        condition = sql(
            "change.tenant_id = {tenant} AND (change.object = ANY({objects})"
            " AND change.key = ANY({segments})"
            " OR change.object = ANY({rules}) AND change.owner_key = ANY({segments}))",
            tenant=param(tenant_id),
            objects=param(list(OF_SEGMENT), "text[]"),
            rules=param(list(OF_RULES), "text[]"),
            segments=segments,
        )
    statement = sql(
        "SELECT {document}::text FROM journal_change AS change WHERE {condition}"
        " ORDER BY change.id DESC LIMIT {limit}",
        document=CHANGE.document(None, Languages()),
        condition=condition,
        limit=param(limit),
    )
    return [orjson.loads(text) for (text,) in fetch_rows(statement)]


def in_words(change: JsonObject) -> str:
    """Return one line: when, who, what, and on which occasion."""
    actor, source = change["actor"], change.get("source", {})
    who = " ".join(
        filter(None, [actor["type"], actor.get("id"), f"({actor['name']})" if actor.get("name") else ""])
    )
    kind, one_or_many = change["object"]["type"], change["count"] != 1
    noun = NOUNS[kind][one_or_many]
    is_document = kind in ("segment", *OF_RULES)
    if is_document:
        verb = {"created": "created", "deleted": "deleted"}.get(change["kind"], "changed")
        what = f"{verb} {noun}"
    else:
        members = ", ".join(change.get("members") or [])
        more = ", ..." if change["count"] > len(change.get("members") or []) else ""
        what = f"{VERBS[change['kind']]} {change['count']:,} {noun} ({members}{more})"
    if change["kind"] == "updated" and is_document:
        what += ": " + ", ".join(sorted({*(change.get("before") or {}), *(change.get("after") or {})}))
    occasion = " ".join(filter(None, [source.get("type"), source.get("id")]))
    because = ", because something else was deleted" if change.get("cascade") else ""
    return f"{change['at']}  {who} {what}{because}" + (f"  [{occasion}]" if occasion else "")
