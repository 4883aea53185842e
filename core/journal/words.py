"""What changes say to people: "removed 503 members", "end 17:00 -> 18:00". No names of columns."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db import models
from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format, time_format

from core.journal.declarations import RecordedAssignments, recorded, recorded_as
from core.journal.models import Change

LABELS = {
    "valid_from": "start",
    "valid_to": "end",
    "mixins": "own attributes",
    "external_id": "id",
    "is_deleted": "deleted",
}
UNSPOKEN = {"version", "created_at", "modified_at", "mixin_schemas", "keys", "is_referral"}
VERBS = {"created": "added", "updated": "changed", "deleted": "removed"}
DOCUMENT_VERBS = {"created": "created", "updated": "changed", "deleted": "deleted"}
MEMBERS = {
    "segment-customer": ("member", "members"),
    "segment-product": ("product", "products"),
    "segment-category": ("category", "categories"),
    "category-product": ("product", "products"),
}
OCCASIONS = {
    "request": "API request",
    "admin": "page of the admin",
    "import": "import",
    "undo-import": "undo of import",
    "undo": "undo of change",
    "paste": "pasted list",
}
MOST_PARTS = 12
LONGEST_VALUE = 80


def noun_of_object(name: str) -> str:
    """Return what the journal calls so, for people."""
    if name in MEMBERS:
        return f"{MEMBERS[name][1]} of {'segments' if name.startswith('segment') else 'categories'}"
    return str(recorded_as(name).model._meta.verbose_name)


def all_nouns() -> list[tuple[str, str]]:
    """Return the objects that the journal knows, each with its noun."""
    names = [
        name
        for one in recorded()
        for name in (one.members if isinstance(one, RecordedAssignments) else (one.object,))
    ]
    return sorted(((name, noun_of_object(name)) for name in names), key=lambda pair: pair[1])


def sentence_of(change: Change, references: Mapping[tuple[str, Any], str]) -> str:
    """Say what a change did. `references` are the names of what its values refer to."""
    declared = recorded_as(change.object)
    along = ", along with a deletion" if change.is_cascade else ""
    if isinstance(declared, RecordedAssignments):
        noun = MEMBERS[change.object][0 if change.count == 1 else 1]
        return f"{VERBS[change.kind]} {change.count:,} {noun}{along}"
    noun = noun_of_object(change.object)
    if change.kind != "updated":
        return f"{DOCUMENT_VERBS[change.kind]} the {noun}{along}"
    parts = [
        part
        for column, before in (change.before or {}).items()
        if column not in UNSPOKEN
        for part in differences(declared.model, column, before, (change.after or {}).get(column), references)
    ]
    parts += [f"{label_of(declared.model, column)} (not shown)" for column in change.hidden or ()]
    more = f"; and {len(parts) - MOST_PARTS} more" if len(parts) > MOST_PARTS else ""
    return ("; ".join(parts[:MOST_PARTS]) + more or f"saved the {noun} again") + along


def differences(
    model: type[models.Model],
    column: str,
    before: Any,
    after: Any,
    references: Mapping[tuple[str, Any], str],
) -> list[str]:
    """Say how a value changed: a localized one language by language."""
    label = label_of(model, column)
    if isinstance(before, dict) or isinstance(after, dict):
        was, now = (value if isinstance(value, dict) else {} for value in (before, after))
        return [
            f"{label} ({name}) {text_of(was.get(name))} -> {text_of(now.get(name))}"
            for name in sorted({*was, *now})
            if was.get(name) != now.get(name)
        ]
    first, second = instant(model, column, before), instant(model, column, after)
    if first and second and first.date() == second.date():
        return [f"{label} {time_format(first, 'H:i')} -> {time_format(second, 'H:i')}"]
    texts = [
        date_format(at, "DATETIME_FORMAT")
        if at
        else text_of(references.get((column, value), value))
        if isinstance(value, int | str)
        else text_of(value)
        for at, value in ((first, before), (second, after))
    ]
    return [f"{label} {texts[0]} -> {texts[1]}"]


def label_of(model: type[models.Model], column: str) -> str:
    if column in LABELS:
        return LABELS[column]
    field = next((one for one in model._meta.concrete_fields if one.column == column), None)
    return str(field.verbose_name) if field is not None else "a former field"


def instant(model: type[models.Model], column: str, value: Any) -> datetime | None:
    field = next((one for one in model._meta.concrete_fields if one.column == column), None)
    if isinstance(field, models.DateTimeField) and isinstance(value, str):
        return parse_datetime(value)
    return None


def text_of(value: Any) -> str:
    if value is None or value in ("", [], {}):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def references_of(changes: Iterable[Change]) -> dict[tuple[str, Any], str]:
    """Return the names of sites, parents and others that the changes' values refer to, by column and key."""
    wanted: dict[tuple[Any, str], set[int]] = {}
    for change in changes:
        declared = recorded_as(change.object)
        if isinstance(declared, RecordedAssignments):
            continue
        for field in declared.model._meta.concrete_fields:
            if field.is_relation and change.kind == "updated":
                values = [row.get(field.column) for row in (change.before or {}, change.after or {})]
                keys = {value for value in values if isinstance(value, int)}
                if keys:
                    wanted.setdefault((field.related_model, field.column), set()).update(keys)
    return {
        (column, row.pk): str(row)
        for (model, column), keys in wanted.items()
        for row in model._base_manager.filter(pk__in=keys)
    }


def occasion_of(change: Change) -> str:
    noun = OCCASIONS.get(change.source_type, change.source_type)
    return f"{noun} {change.source_id}".strip()


def person_of(change: Change) -> str:
    """Say who made a change."""
    name = change.actor_name or change.actor_id
    return f"{name} ({change.actor_type})" if name else change.actor_type


def add_sentences(changes: list[Any]) -> None:
    """Give each change its sentence, with the names of all that they refer to read at once."""
    for change in changes:
        change.before, change.after = change.shown_before, change.shown_after
    references = references_of(changes)
    for change in changes:
        change.sentence = sentence_of(change, references)
        change.who, change.occasion = person_of(change), occasion_of(change)
