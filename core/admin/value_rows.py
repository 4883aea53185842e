"""Fields for JSON that mostly holds plain values: an input for each of them instead of one text of JSON."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson
from django import forms
from django.core.exceptions import ValidationError
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core.admin.declared import Text
from core.admin.forms import MAX_JSON_LENGTH, JsonField, read_json
from core.json_types import JsonObject, JsonValue
from core.text import FLAGS

MOST_ROWS = 100
NEW_ROWS = 3
LONG_TEXT = 80  # characters; longer texts get several lines
Path = tuple[str, ...]


class EnteredRows(list[dict[str, str]]):
    """Rows as a form sends them: the texts of their inputs by the name of the input."""


class Kind(StrEnum):
    """How a value is entered."""

    TEXT = "text"
    NUMBER = "number"
    FLAG = "flag"
    LIST = "list"
    JSON = "json"


KINDS = (
    (Kind.TEXT, _("Text")),
    (Kind.NUMBER, _("Number")),
    (Kind.FLAG, _("Yes or no")),
    (Kind.LIST, _("List, one entry a line")),
    (Kind.JSON, _("JSON")),
)


def kind_of(value: object) -> Kind:
    """Return how a stored value is entered; what no other input can say is JSON."""
    match value:
        case bool():
            return Kind.FLAG
        case int() | float():
            return Kind.NUMBER
        case str():
            return Kind.TEXT
        case list() if value and all(
            isinstance(part, str) and part.split("\n") == [part.strip()] != [""] for part in value
        ):
            return Kind.LIST
    return Kind.JSON


def shown_text(value: object) -> str:
    """Return the value as its input shows it."""
    match kind_of(value):
        case Kind.TEXT:
            return str(value)
        case Kind.LIST:
            assert isinstance(value, list)
            return "\n".join(value)
        case Kind.JSON:
            return json.dumps(value, indent=2, ensure_ascii=False)
    return json.dumps(value)


def read_text(kind: str, text: str) -> object:
    """Return the value that was entered; raise ValidationError for what is none of its kind."""
    match kind:
        case Kind.NUMBER:
            try:
                number = orjson.loads(text.strip())
            except orjson.JSONDecodeError:
                number = None
            if isinstance(number, bool) or not isinstance(number, int | float):
                raise ValidationError(gettext("Enter a number such as 12 or 12.5."), code="invalid")
            return number
        case Kind.FLAG:
            if (flag := FLAGS.get(text.strip().lower())) is None:
                raise ValidationError(gettext("Enter yes or no."), code="invalid")
            return flag
        case Kind.LIST:
            return [line.strip() for line in text.split("\n") if line.strip()]
        case Kind.JSON:
            return read_json(text)
    return text


def as_entered(text: str) -> str:
    """Return the text as a browser sends it, which ends all lines alike."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


class RowsInput(forms.Widget):
    """Rows of inputs for a JSON value; one text of JSON for a value that rows cannot show."""

    use_fieldset = True
    parts: tuple[str, ...]

    def rows_of(self, value: object) -> list[dict[str, str]] | None:
        """Return the rows of a value, stored or entered as JSON; None when they cannot show it."""
        raise NotImplementedError

    def value_from_datadict(self, data: Mapping[str, str], files: object, name: str) -> object:
        if name in data:
            return data[name]
        rows = EnteredRows()
        for index in range(MOST_ROWS * 2):
            row = {part: data.get(f"{name}-{index}-{part}", "") for part in self.parts}
            if any(row.values()):
                rows.append(row)
        return rows

    def value_omitted_from_data(self, data: Mapping[str, str], files: object, name: str) -> bool:
        return not any(key == name or key.startswith(f"{name}-") for key in data)

    def id_for_label(self, id_: str) -> str:
        return ""

    def format_value(self, value: object) -> Any:
        return value

    def get_context(self, name: str, value: object, attrs: dict[str, object] | None) -> dict[str, object]:
        context = super().get_context(name, value, attrs)
        shown = context["widget"]
        if isinstance(value, str):
            rows = None
        else:
            rows = value if isinstance(value, EnteredRows) else self.rows_of(value)
        if rows is None:
            shown["text"] = value if isinstance(value, str) else shown_text(value)
            return context
        stored = [row for row in rows if row.get("stored")]
        new = [row for row in rows if not row.get("stored")]
        new += [dict.fromkeys(self.parts, "") for _row in range(max(NEW_ROWS - len(new), 1))]
        prefixes = (f"{name}-{index}-" for index in range(MOST_ROWS * 2))
        inputs = [
            {**self.shown_row(row), "prefix": prefix, "id": f"{shown['attrs'].get('id', name)}-{prefix}"}
            for row, prefix in zip([*stored, *new], prefixes, strict=False)
        ]
        shown["rows"], shown["stored"], shown["new"] = inputs, inputs[: len(stored)], inputs[len(stored) :]
        return context

    def shown_row(self, row: dict[str, str]) -> dict[str, object]:
        """Return what the template shows of a row."""
        return dict(row)


class RowsField(JsonField):
    """JSON that is entered in rows, or as a text where rows cannot show it."""

    def to_python(self, value: object) -> Any:
        if not isinstance(value, EnteredRows):
            return super().to_python(value)
        for row in value:
            for text in row.values():
                if len(text) > MAX_JSON_LENGTH or "\x00" in text:
                    raise ValidationError(
                        _("A value is too long, or has a character that cannot be stored."), code="invalid"
                    )
        read = self.of_rows(value)
        return super().to_python(read) if read else super().to_python(None)

    def of_rows(self, rows: EnteredRows) -> object:
        """Return the value that the rows say; raise ValidationError with all that is wrong with them."""
        raise NotImplementedError

    def bound_data(self, data: object, initial: object) -> object:
        return data if isinstance(data, EnteredRows) else super().bound_data(data, initial)

    def prepare_value(self, value: object) -> Any:
        return value


def stored_of(row: Mapping[str, str]) -> JsonValue:
    """Return what the hidden input of a row says was stored; None for a new row."""
    try:
        return json.loads(row.get("stored") or "null")
    except ValueError:
        return None


# --- mixins ---


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value within an object, and the names that lead to it."""

    path: Path
    value: object


def leaves_of(value: Mapping[str, object], above: Path = ()) -> Iterator[Leaf]:
    """Yield the values of an object and of the objects in it, those of one object together."""
    for name, inner in value.items():
        if isinstance(inner, Mapping) and inner:
            yield from leaves_of(inner, (*above, name))
        else:
            yield Leaf((*above, name), inner)


def path_text(path: Sequence[str]) -> str:
    return " › ".join(path)


class MixinsInput(RowsInput):
    """The attributes of mixins, a row each, those of a mixin together."""

    template_name = "core/mixins_input.html"
    parts = ("stored", "mixin", "attribute", "kind", "value", "removed")

    def rows_of(self, value: object) -> list[dict[str, str]] | None:
        value = {} if value is None else value
        if not isinstance(value, Mapping):
            return None
        leaves = list(leaves_of(value))
        if len(leaves) > MOST_ROWS:
            return None
        return [
            {
                "stored": json.dumps([leaf.path, leaf.value]),
                "value": as_entered(shown_text(leaf.value)),
            }
            for leaf in leaves
        ]

    def shown_row(self, row: dict[str, str]) -> dict[str, object]:
        shown = super().shown_row(row)
        shown["kinds"] = KINDS
        shown["kind"] = row.get("kind") or Kind.TEXT
        if leaf := stored_leaf(row):
            shown["mixin"], shown["label"] = leaf.path[0], path_text(leaf.path[1:])
            shown["kind"] = kind_of(leaf.value)
            shown["is_long"] = shown["kind"] in (Kind.LIST, Kind.JSON) or (
                shown["kind"] == Kind.TEXT and (len(row["value"]) > LONG_TEXT or "\n" in row["value"])
            )
            shown["flag"] = FLAGS.get(row["value"].strip().lower())
        return shown


class MixinsField(RowsField):
    """The attributes of mixins; a value that is emptied is removed."""

    def json_input(self) -> forms.Widget:
        return MixinsInput()

    def of_rows(self, rows: EnteredRows) -> JsonObject:
        whole: JsonObject = {}
        errors: list[ValidationError] = []
        for row in rows:
            try:
                path, value = self._entered(row)
                if path:
                    put(whole, path, value)
            except ValidationError as refused:
                errors.append(refused)
        if errors:
            raise ValidationError(errors)
        return whole

    def _entered(self, row: Mapping[str, str]) -> tuple[Path, object]:
        """Return the place of the row's value and the value; no place when there is none."""
        if row["removed"]:
            return (), None
        text = as_entered(row["value"])
        path: Path
        kind: str
        if leaf := stored_leaf(row):
            if text == as_entered(shown_text(leaf.value)):
                return leaf.path, leaf.value
            path, kind = leaf.path, kind_of(leaf.value)
        else:
            mixin, attribute = row["mixin"].strip(), row["attribute"].strip()
            if not (mixin or attribute or text.strip()):
                return (), None
            path, kind = (mixin, *(attribute.split(".") if attribute else ())), row["kind"] or Kind.TEXT
            if not all(path) or not text.strip():
                raise ValidationError(
                    gettext("{name}: Enter a mixin, the name of an attribute and its value.").format(
                        name=path_text([part for part in path if part]) or gettext("New attribute")
                    ),
                    code="invalid",
                )
        if not text.strip():
            return (), None
        try:
            return path, read_text(kind, text)
        except ValidationError as fault:
            raise ValidationError(f"{path_text(path)}: {fault.message}", code="invalid") from None


def stored_leaf(row: Mapping[str, str]) -> Leaf | None:
    """Return what was stored in the place of the row; None for a new row, or one that nobody can read."""
    match stored_of(row):
        case [[*names], value] if names and all(isinstance(name, str) for name in names):
            return Leaf(tuple(map(str, names)), value)
    return None


def put(whole: JsonObject, path: Path, value: object) -> None:
    """Set the value that the path leads to; refuse a place that is taken."""
    place: object = whole
    for name in path[:-1]:
        place = place.setdefault(name, {}) if isinstance(place, dict) else None
    if not isinstance(place, dict) or path[-1] in place:
        raise ValidationError(gettext("{name} is there twice.").format(name=path_text(path)), code="invalid")
    place[path[-1]] = value


# --- lists of objects ---


class ObjectsInput(RowsInput):
    """The objects of a list, a row each, with an input for each of some members."""

    template_name = "core/objects_input.html"

    def __init__(self, members: Mapping[str, object]) -> None:
        super().__init__()
        self.members = members
        self.parts = ("stored", "removed", *members)

    def rows_of(self, value: object) -> list[dict[str, str]] | None:
        entries = [] if value is None else value
        if not isinstance(entries, list) or len(entries) > MOST_ROWS:
            return None
        if not all(isinstance(entry, Mapping) for entry in entries):
            return None
        rows = []
        for entry in entries:
            texts = {name: shown_member(entry, name) for name in self.members}
            if any("\n" in text or "\r" in text for text in texts.values()):
                return None
            rows.append({"stored": json.dumps(entry), **texts})
        return rows

    def shown_row(self, row: dict[str, str]) -> dict[str, object]:
        title = " ".join(filter(None, (row.get(name) for name in self.members)))
        inputs = [{"name": name, "label": label, "value": row[name]} for name, label in self.members.items()]
        return {**row, "title": title, "inputs": inputs}


class ObjectsField(RowsField):
    """A list of objects, of which some members are entered; the others are kept."""

    def __init__(
        self, members: Mapping[str, object], *, label: Text | None = None, help_text: Text = ""
    ) -> None:
        self.members = members
        super().__init__(kind=list, required=False, label=label, help_text=help_text)

    def json_input(self) -> forms.Widget:
        return ObjectsInput(self.members)

    def of_rows(self, rows: EnteredRows) -> list[JsonObject]:
        entries = []
        for row in rows:
            stored = stored_of(row)
            entry = stored if isinstance(stored, dict) else {}
            for name in self.members:
                if row[name] == shown_member(entry, name):
                    continue
                entry.pop(name, None)
                if text := row[name].strip():
                    entry[name] = text
            if (entry or stored == {}) and not row["removed"]:
                entries.append(entry)
        return entries


def shown_member(entry: Mapping[str, object], name: str) -> str:
    """Return the text of a member, empty when there is none; what is no text is shown as JSON."""
    value = entry.get(name)
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def all_leaves_of(value: object, above: Path = ()) -> Iterator[Leaf]:
    """Yield the values of an object, those in lists of objects too, which are counted from 1."""
    if isinstance(value, list) and any(isinstance(entry, Mapping) for entry in value):
        value = {str(number): entry for number, entry in enumerate(value, 1)}
    if isinstance(value, Mapping) and (value or not above):
        for name, inner in value.items():
            yield from all_leaves_of(inner, (*above, name))
    else:
        yield Leaf(above, value)


def json_for_reading(value: object) -> object:
    """Return a JSON value for users who may only view it: objects as lines, nothing for empty ones."""
    if value in ({}, []):
        return None
    if isinstance(value, list) and all(isinstance(entry, Mapping) for entry in value):
        value = {str(number): entry for number, entry in enumerate(value, 1)}
    if isinstance(value, Mapping):
        return as_lines(value)
    return shown_text(value) if isinstance(value, list) else value


def as_lines(value: Mapping[str, object] | None) -> SafeString:
    """Return the values of an object for users who may only view it, each after the names that lead to it."""
    lines = ((path_text(leaf.path), shown_text(leaf.value)) for leaf in all_leaves_of(value or {}))
    return format_html_join("", '<div class="value-line"><span>{}</span> <span>{}</span></div>', lines)
