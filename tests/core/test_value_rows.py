"""JSON as rows of inputs: what is shown and sent back is what was stored."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as some

from core.admin.value_rows import MOST_ROWS, MixinsField, ObjectsField, RowsField, json_for_reading
from core.json_types import JsonObject

NAMES = some.text(alphabet='ab. ›["', max_size=3)
TEXTS = some.text(alphabet='a1,\n\r "\\é', max_size=5)
PLAIN = (
    some.none()
    | some.booleans()
    | some.integers()
    | some.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
)
VALUES = some.recursive(
    PLAIN,
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


def mixins() -> MixinsField:
    return MixinsField(kind=dict, is_nullable=True, required=False)


def related() -> ObjectsField:
    return ObjectsField({"refId": "Product", "type": "Type"})


def sent(field: RowsField, stored: object, **changes: str) -> Any:
    """Return what a browser sends of the form that shows the value, after somebody changed inputs of it."""
    widget = field.widget
    shown = widget.get_context("f", field.prepare_value(stored), {"id": "id_f"})["widget"]
    if "text" in shown:
        return widget.value_from_datadict({"f": shown["text"]}, {}, "f")
    data = {
        f"{row['prefix']}{part}": row[part].replace("\r\n", "\n").replace("\n", "\r\n")
        for row in shown["rows"]
        for part in widget.parts
        if isinstance(row.get(part), str) and part not in ("removed", "mixin", "attribute")
    }
    assert widget.render("f", field.prepare_value(stored), {"id": "id_f"}) != ""
    return widget.value_from_datadict({**data, **changes}, {}, "f")


@given(some.dictionaries(NAMES, VALUES, max_size=4))
def test_mixins_that_nobody_changes_stay_as_they_are(stored: JsonObject) -> None:
    field = mixins()
    assert field.clean(sent(field, stored)) == (stored or None)
    assert not field.has_changed(stored or None, sent(field, stored))


@given(
    some.lists(
        some.dictionaries(some.sampled_from(["refId", "type", "rank"]), VALUES, max_size=3), max_size=4
    )
)
def test_objects_that_nobody_changes_stay_as_they_are(stored: list[JsonObject]) -> None:
    field = related()
    assert field.clean(sent(field, stored)) == stored


STORED = {
    "size": {
        "unit": "l",
        "amount": 1.5,
        "sealed": True,
        "labels": ["a", "b"],
        "box": {"depth": 3},
        "raw": [1],
    },
    "note": "n",
}


def test_each_plain_value_has_an_input_of_its_kind() -> None:
    html = mixins().widget.render("mixins", STORED, {"id": "id_mixins"})
    for part in (
        ' name="mixins-0-value" id="id_mixins-mixins-0-value" value="l">',
        'value="1.5" inputmode="decimal">',
        '<option value="true" selected>Yes</option>',
        'rows="3">\na\nb</textarea>',
        "box › depth</label>",
        'class="json" spellcheck="false">\n[\n  1\n]</textarea>',
        'role="group" aria-label="size"',
    ):
        assert part in html
    with translation.override("de"):
        assert "Neue Attribute" in mixins().widget.render("mixins", STORED, {"id": "id_mixins"})


def test_values_are_changed_removed_and_added() -> None:
    field = mixins()
    changed = {
        "f-0-value": "kg",
        "f-1-value": "2",
        "f-2-value": "false",
        "f-3-value": "a\r\n\r\n c ",
        "f-4-removed": "1",
        "f-5-value": '{"x": null}',
        "f-6-value": " ",
        **{"f-7-mixin": "size", "f-7-attribute": "box.height", "f-7-kind": "number", "f-7-value": "4"},
        **{"f-8-mixin": "fair", "f-8-attribute": "", "f-8-kind": "flag", "f-8-value": "Ja"},
    }
    assert field.clean(sent(field, STORED, **changed)) == {
        "size": {
            "unit": "kg",
            "amount": 2,
            "sealed": False,
            "labels": ["a", "c"],
            "box": {"height": 4},
            "raw": {"x": None},
        },
        "fair": True,
    }


@pytest.mark.parametrize(
    ("changes", "messages"),
    [
        ({"f-1-value": "much"}, ["size › amount: Enter a number such as 12 or 12.5."]),
        ({"f-1-value": "true"}, ["size › amount: Enter a number such as 12 or 12.5."]),
        ({"f-5-value": "[1"}, ["size › raw: Enter a valid JSON."]),
        (
            {"f-5-value": '[{"a": 1, "a": 2}]'},
            ["size › raw: The name a is there twice in one object; keep one of them."],
        ),
        (
            {
                "f-7-mixin": "size",
                "f-7-attribute": "unit",
                "f-7-value": "x",
                "f-0-value": "l",
                "f-1-value": "z",
            },
            ["size › amount: Enter a number such as 12 or 12.5.", "size › unit is there twice."],
        ),
        ({"f-7-mixin": "note", "f-7-attribute": "a", "f-7-value": "x"}, ["note › a is there twice."]),
        ({"f-7-value": "x"}, ["New attribute: Enter a mixin, the name of an attribute and its value."]),
        (
            {"f-7-mixin": "a", "f-7-attribute": "b", "f-7-kind": "flag", "f-7-value": "perhaps"},
            ["a › b: Enter yes or no."],
        ),
        ({"f-0-value": "\0"}, ["A value is too long, or has a character that cannot be stored."]),
    ],
)
def test_what_is_wrong_is_named_with_its_place(changes: dict[str, str], messages: list[str]) -> None:
    field = mixins()
    with pytest.raises(ValidationError) as refused:
        field.clean(sent(field, STORED, **changes))
    assert refused.value.messages == messages


def test_what_was_entered_is_shown_again() -> None:
    field = mixins()
    entered = sent(field, STORED, **{"f-1-value": "much", "f-7-mixin": "new", "f-7-kind": "number"})
    html = field.widget.render("f", field.prepare_value(field.bound_data(entered, STORED)), {"id": "id_f"})
    for part in ('value="much"', 'name="f-7-mixin" id="id_f-f-7-mixin" value="new"', '"number" selected'):
        assert part in html


@pytest.mark.parametrize(
    ("stored", "parts"),
    [
        ({"tier": {"name": "gold"}}, ["tier", "name", "gold"]),
        ([{"street": "Main 1", "isDefault": True}, {"note": None}], ["1", "street", "Main 1", "2", "note"]),
        (["a", "b"], ["a\nb"]),
        ([1, {"x": 2}], ["1,", "x"]),
    ],
)
def test_whoever_may_only_look_sees_values_and_no_code(stored: object, parts: list[str]) -> None:
    shown = str(json_for_reading(stored))
    assert [part for part in parts if part not in shown] == []
    assert "'" not in shown
    assert "True" not in shown


def test_nothing_is_shown_of_what_is_empty() -> None:
    assert [json_for_reading(value) for value in ({}, [], None)] == [None, None, None]


def test_more_values_than_rows_can_show_are_one_text() -> None:
    field = mixins()
    many = {"m": {str(number): number for number in range(MOST_ROWS + 1)}}
    html = field.widget.render("f", many, {"id": "id_f"})
    assert 'name="f"' in html
    assert "value-row" not in html
    assert field.clean(sent(field, many)) == many


def test_hidden_inputs_that_somebody_broke_are_a_new_row() -> None:
    with pytest.raises(ValidationError, match="New attribute: Enter a mixin"):
        mixins().clean(mixins().widget.value_from_datadict({"f-0-stored": "[", "f-0-value": "x"}, {}, "f"))


def test_members_that_are_not_shown_are_kept() -> None:
    field = related()
    stored = [{"refId": "P1", "type": "ACCESSORY", "rank": 1}, {"refId": "P2"}, {"refId": "P3"}]
    changes = {"f-0-type": "", "f-1-removed": "1", "f-3-refId": " P4 ", "f-3-type": "SPARE"}
    assert field.clean(sent(field, stored, **changes)) == [
        {"refId": "P1", "rank": 1},
        {"refId": "P3"},
        {"refId": "P4", "type": "SPARE"},
    ]
