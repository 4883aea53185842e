"""What changes say to people: "removed 503 members", "end 17:00 -> 18:00". No names of columns."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Protocol

from django.db import models
from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format, number_format, time_format
from django.utils.translation import gettext, ngettext_lazy
from django.utils.translation import gettext_lazy as _

from core.filter_sources import FILTERED, filter_in_words
from core.journal.declarations import Recorded, RecordedAssignments, RecordedDocument, recorded, recorded_as
from core.journal.models import Change
from core.json_types import JsonMapping
from core.names import is_generated, name_for_reader
from core.tenancy.models import Tenant
from core.timestamps import local_moment

LABELS = {
    "valid_from": _("start"),
    "valid_to": _("end"),
    "mixins": _("own attributes"),
    "external_id": _("id"),
    "is_deleted": _("deleted"),
    "q": _("rule"),
}
COUNTED_OUTCOMES = {
    "added": (ngettext_lazy("{number} joined", "{number} joined"), _("nobody joined")),
    "removed": (ngettext_lazy("{number} left", "{number} left"), _("nobody left")),
}
"""What an evaluation did to members: how many, and nobody."""
UNSPOKEN = {"version", "created_at", "modified_at", "mixin_schemas", "keys", "is_referral"}
NOUNS = {
    "segment-customer": _("members of segments"),
    "segment-product": _("products of segments"),
    "segment-category": _("categories of segments"),
    "category-product": _("products of categories"),
    "category-number": _("number of a category"),
    "coupon-segment": _("segment of a coupon"),
    "coupon-category": _("category of a coupon"),
    "staff-group-permission": _("permission of a group"),
    "staff-user-group": _("group of a member of staff"),
    "staff-user-permission": _("permission of a member of staff"),
    "legacy-password": _("password of another system"),
    "password-migration": _("migration of passwords"),
    "staff-device": _("device for one-time passwords"),
    "staff-recovery-codes": _("recovery codes"),
}
"""Of what has no page in the admin, whose names of models are translated."""
MEMBERS = ngettext_lazy("{number} member", "{number} members")
PRODUCTS = ngettext_lazy("{number} product", "{number} products")
COUNTED = {
    "segment-customer": MEMBERS,
    "segment-product": PRODUCTS,
    "segment-category": ngettext_lazy("{number} category", "{number} categories"),
    "category-product": PRODUCTS,
}
# Translators: what was done to members, products or categories, such as "3 members".
VERBS = {
    "created": _("added {what}"),
    "updated": _("changed {what}"),
    "deleted": _("removed {what}"),
}
# Translators: what was done to one document, such as a segment.
DOCUMENT_VERBS = {
    "created": _("created the {what}"),
    "updated": _("changed the {what}"),
    "deleted": _("deleted the {what}"),
}
OCCASIONS = {
    "request": _("API request"),
    "admin": _("page of the admin"),
    "import": _("import"),
    "undo-import": _("undo of import"),
    "undo": _("undo of change"),
    FILTERED: _("filtered list"),
    "member-operation": _("combination of segments"),
    "evaluation": _("evaluation of rules"),
    "changes": _("change of customers"),
}
ACTORS = {
    "staff": _("staff"),
    "client": _("API client"),
    "customer": _("customer"),
    "command": _("command"),
    "rule": _("rule"),
    "anonymous": _("anonymous"),
    "sql": _("SQL by hand"),
}
UNNAMED_OCCASIONS = {"request", "admin", FILTERED}
MOST_PARTS = 12
LONGEST_VALUE = 80


def noun_of_object(name: str) -> str:
    """Return what the journal calls so, for people."""
    if name in NOUNS:
        return str(NOUNS[name])
    return str(recorded_as(name).model._meta.verbose_name)


def all_nouns() -> list[tuple[str, str]]:
    """Return the objects that the journal knows, each with its noun."""
    names = [
        name
        for one in recorded()
        for name in (one.members if isinstance(one, RecordedAssignments) else (one.object,))
    ]
    return sorted(((name, noun_of_object(name)) for name in names), key=lambda pair: pair[1])


def sentence_of(change: Change, references: Mapping[tuple[str, object], str]) -> str:
    """Say what a change did. `references` are the names of what its values refer to."""
    declared = recorded_as(change.object)
    if isinstance(declared, RecordedAssignments):
        what = str(COUNTED[change.object] % change.count).format(
            number=number_format(change.count, force_grouping=True)
        )
        said = str(VERBS[change.kind]).format(what=what)
    elif isinstance(declared, RecordedDocument) and declared.said and (words := declared.said(change)):
        said = words
    elif change.kind != "updated":
        said = str(DOCUMENT_VERBS[change.kind]).format(what=noun_of_object(change.object))
        if named := named_by(change, declared, references):
            said = f"{said} ({named})"
    else:
        said = differences_of(change, declared, references)
    if change.is_cascade:
        said = gettext("{said}, along with a deletion").format(said=said)
    if change.source_type == FILTERED and (words := filter_in_words(change.source_id)):
        said = gettext("{said} (filter: {filter})").format(said=said, filter=words)
    return said


def named_by(change: Change, declared: Recorded, references: Mapping[tuple[str, object], str]) -> str:
    """Return what says which part of its owner a document is: its text, or what it refers to."""
    if not (isinstance(declared, RecordedDocument) and declared.shown_with):
        return ""
    row = change.before or change.after or {}
    names = [references[pair] for pair in row.items() if isinstance(pair[1], int) and pair in references]
    return text_of(row["q"]) if row.get("q") else ", ".join(names)


def differences_of(change: Change, declared: Recorded, references: Mapping[tuple[str, object], str]) -> str:
    if (change.after or {}).get("evaluated_at"):
        return evaluation_in_words(change.after or {})
    parts = [
        part
        for column, before in (change.before or {}).items()
        if column not in UNSPOKEN
        for part in differences(declared.model, column, before, (change.after or {}).get(column), references)
    ]
    parts += [
        gettext("{name} (not shown)").format(name=label_of(declared.model, column))
        for column in change.hidden or ()
    ]
    if not parts:
        return gettext("saved the {what} again").format(what=noun_of_object(change.object))
    more = len(parts) - MOST_PARTS
    return "; ".join(
        [*parts[:MOST_PARTS], *([gettext("and {more} more").format(more=more)] if more > 0 else ())]
    )


def evaluation_in_words(after: JsonMapping) -> str:
    """Say what an evaluation came to: numbers that are those of the one before are not in the journal."""
    numbers = [
        str(some % after[column]).format(number=number_format(after[column], force_grouping=True))
        if after[column]
        else str(nobody)
        for column, (some, nobody) in COUNTED_OUTCOMES.items()
        if after.get(column) is not None
    ]
    if not numbers:
        return gettext("evaluated again, with the same numbers")
    return gettext("evaluated: {numbers}").format(numbers=", ".join(numbers))


def differences(
    model: type[models.Model],
    column: str,
    before: object,
    after: object,
    references: Mapping[tuple[str, object], str],
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
        return str(LABELS[column])
    field = next((one for one in model._meta.concrete_fields if one.column == column), None)
    return str(field.verbose_name) if field is not None else gettext("a former field")


def instant(model: type[models.Model], column: str, value: object) -> datetime | None:
    field = next((one for one in model._meta.concrete_fields if one.column == column), None)
    if isinstance(field, models.DateTimeField) and isinstance(value, str):
        read = parse_datetime(value)
        return None if read is None else local_moment(read)
    return None


def text_of(value: object) -> str:
    if value is None or value in ("", [], {}):
        return gettext("none")
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def references_of(changes: Iterable[Change]) -> dict[tuple[str, object], str]:
    """Return the names of sites, parents and others that the changes' values refer to, by column and key."""
    wanted: dict[tuple[type[models.Model], str], set[int]] = {}
    for change in changes:
        declared = recorded_as(change.object)
        if isinstance(declared, RecordedAssignments):
            continue
        for field in declared.model._meta.concrete_fields:
            if field.is_relation and (change.kind == "updated" or shows_references(declared, field)):
                values = [row.get(field.column) for row in (change.before or {}, change.after or {})]
                keys = {value for value in values if isinstance(value, int)}
                if keys and isinstance(field.related_model, type):
                    wanted.setdefault((field.related_model, field.column), set()).update(keys)
    return {
        (column, row.pk): str(row)
        for (model, column), keys in wanted.items()
        for row in model._base_manager.filter(pk__in=keys)
    }


def shows_references(declared: Recorded, field: models.Field) -> bool:
    """Say whether the field's reference is what distinguishes a document that is shown with its owner."""
    if not isinstance(declared, RecordedDocument) or not declared.shown_with:
        return False
    return field.related_model not in (Tenant, recorded_as(declared.shown_with).model)


class Attributed(Protocol):
    """Says who did something and on what occasion, as a change does."""

    @property
    def actor_type(self) -> str: ...
    @property
    def actor_id(self) -> str: ...
    @property
    def actor_name(self) -> str: ...
    @property
    def source_type(self) -> str: ...
    @property
    def source_id(self) -> str: ...


def occasion_of(change: Attributed) -> str:
    noun = OCCASIONS.get(change.source_type, change.source_type)
    shown_id = "" if change.source_type in UNNAMED_OCCASIONS else change.source_id
    return f"{noun} {shown_id}".strip()


def person_of(change: Attributed) -> str:
    """Say who made a change."""
    name, kind = change.actor_name or change.actor_id, ACTORS.get(change.actor_type, change.actor_type)
    return f"{name} ({kind})" if name else str(kind)


def subjects_of(changes: Iterable[Change]) -> dict[int, models.Model]:
    """Return what each change is about, by the change's key: the owner of members, or the document itself.

    One statement for each kind of object. What no longer exists is left out.
    """
    wanted: dict[type[models.Model], dict[int, list[int]]] = {}
    for change in changes:
        declared = recorded_as(change.object)
        is_of_owner = isinstance(declared, RecordedDocument) and declared.shown_with
        key = change.owner_key if is_of_owner else change.key
        if key is not None:
            wanted.setdefault(subject_model(change.object), {}).setdefault(key, []).append(change.pk)
    found = {}
    for model, keys in wanted.items():
        has_tenant = any(field.name == "tenant" for field in model._meta.concrete_fields)
        rows = model._base_manager.filter(pk__in=list(keys))
        for row in rows.select_related("tenant") if has_tenant else rows:
            found.update(dict.fromkeys(keys[row.pk], row))
    return found


def subject_model(object_name: str) -> type[models.Model]:
    declared = recorded_as(object_name)
    if isinstance(declared, RecordedAssignments):
        fields = declared.model._meta.concrete_fields
        owner = next(one.related_model for one in fields if one.column == declared.owner)
        assert isinstance(owner, type)
        return owner
    if isinstance(declared, RecordedDocument) and declared.shown_with:
        return recorded_as(declared.shown_with).model
    return declared.model


def name_of_subject(change: Change, row: models.Model | None) -> str:
    """Say what a change was about; of what is gone by its last known name, never by a generated id."""
    if row is not None:
        return str(row)
    names = (change.before or change.after or {}).get("name")
    name = name_for_reader(names) if isinstance(names, dict) else names if isinstance(names, str) else ""
    external_id = change.external_id or ""
    shown_id = "" if is_generated(external_id) else external_id
    noun = noun_of_object(change.object)
    if name and shown_id:
        return f"{name} ({shown_id})"
    return name or f"{noun} {shown_id}".strip()


def add_sentences(changes: list[Change]) -> None:
    """Give each change its sentence and subject, with the names of all that they refer to read at once."""
    for change in changes:
        change.before, change.after = change.shown_before, change.shown_after
    references, subjects = references_of(changes), subjects_of(changes)
    for change in changes:
        change.sentence = sentence_of(change, references)
        change.who, change.occasion = person_of(change), occasion_of(change)
        change.subject_row = subjects.get(change.pk)
        change.subject_name = name_of_subject(change, change.subject_row)
