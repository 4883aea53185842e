import ast
from pathlib import Path

import pytest
from django.conf import settings

from core.sql.composition import (
    LONGEST_SHAPE,
    Sql,
    bind,
    composed_once,
    equals,
    identifier,
    identifiers,
    integer,
    param,
    sql,
    type_of,
)


def test_params_follow_the_order_of_their_slots_in_the_text():
    piece = sql(
        "a = {first} AND b = {second} AND c = {third}", third=param(3), first=param(1), second=param(2)
    )

    assert piece == Sql("a = %s AND b = %s AND c = %s", (1, 2, 3))


def test_a_slot_used_twice_repeats_its_params():
    piece = sql("{at} < start OR end < {at} OR {other}", at=param("now", "timestamptz"), other=param(1))

    assert piece == Sql("%s::timestamptz < start OR end < %s::timestamptz OR %s", ("now", "now", 1))


def test_pieces_nest_with_their_params():
    window = sql("{alias}.start <= {at}", alias=identifier("segment"), at=param(5))
    chosen = sql(
        "SELECT id FROM segment WHERE {window} AND tenant_id = {tenant}", window=window, tenant=param(7)
    )

    assert sql("a = {a} AND id IN ({chosen})", chosen=chosen, a=param(1)) == Sql(
        "a = %s AND id IN (SELECT id FROM segment WHERE segment.start <= %s AND tenant_id = %s)", (1, 5, 7)
    )


def test_joined_pieces_keep_their_params_in_order():
    conditions = [sql("a = {a}", a=param(1)), Sql("b"), sql("c = {c}", c=param(2))]

    assert Sql.joined(" AND ", conditions) == Sql("a = %s AND b AND c = %s", (1, 2))
    assert Sql.joined(", ", []) == Sql("")


def test_doubled_braces_are_literal_and_those_of_a_piece_stay():
    assert sql("'{{}}'::jsonb || {value}", value=Sql("'{x}'")) == Sql("'{}'::jsonb || '{x}'")


def test_a_value_never_becomes_text():
    assert sql("a = {a}", a=param("1; DROP TABLE x")) == Sql("a = %s", ("1; DROP TABLE x",))


@pytest.mark.parametrize("value", ["x = 1", 1, None, ("x", ()), b"x"])
def test_only_pieces_fill_a_slot(value):
    with pytest.raises(
        TypeError, match=r"The slot name takes a piece of SQL, not \w+: wrap a value in param"
    ):
        sql("SELECT {other} {name}", other=Sql("1"), name=value)


def test_a_slot_without_a_piece_is_refused():
    with pytest.raises(TypeError, match="slots that nothing is given for: a, b"):
        sql("{b} {a} {c}", c=Sql("1"))


def test_a_piece_without_a_slot_is_refused():
    with pytest.raises(TypeError, match="no slots of these names: d"):
        sql("{c}", c=Sql("1"), d=Sql("2"))
    with pytest.raises(TypeError, match="nothing is given for: c"):
        sql("{c}", d=Sql("2"))


@pytest.mark.parametrize("template", ["{}", "'{}'", "{0}", "{a.b}", "{a[0]}", "{a!r}", "{a:d}", "{A}"])
def test_a_template_has_only_named_slots(template):
    with pytest.raises(ValueError, match="Write literal braces twice"):
        sql(template)


def test_a_template_has_no_placeholder_of_its_own():
    with pytest.raises(ValueError, match="instead of a placeholder"):
        sql("a = %s AND b = {b}", b=param(1))


def test_identifiers_are_plain_names():
    assert identifier("segment", "tenant_id") == Sql("segment.tenant_id")
    assert identifiers(["id", "version"]) == Sql("id, version")


@pytest.mark.parametrize("name", ["", "Name", "a b", "a.b", 'a"', "a;", "1a", "a\n", "a--"])
def test_other_names_are_refused(name):
    with pytest.raises(ValueError, match="no plain name"):
        identifier(name)


def test_types_are_plain_names():
    assert param([1], "bigint[]") == Sql("%s::bigint[]", ([1],))
    assert type_of("double precision") == Sql("double precision")
    with pytest.raises(ValueError, match="no name of a PostgreSQL type"):
        param(1, "int); DROP TABLE x")


def test_an_integer_is_a_number():
    assert integer(61) == Sql("61")
    with pytest.raises(ValueError, match="Unknown format code"):
        integer("61; x")  # type: ignore[arg-type]


def test_a_piece_cannot_be_changed_and_equals_its_like():
    piece = param(1)

    with pytest.raises(AttributeError):
        piece.sql = "x"  # type: ignore[misc]
    assert (piece, hash(piece)) == (param(1), hash(param(1)))
    assert piece != param(2)


def test_templates_are_literals():
    """What fills a template is named; nothing is formatted into it or into a piece of SQL beforehand."""
    formatted = []
    for package in ("accounts", "catalog", "core", "coupons", "segments"):
        for path in Path(settings.BASE_DIR, package).rglob("*.py"):
            if "api" in path.parts:
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Name)
                    and node.func.id in ("Sql", "bind", "slots", "sql")
                    and node.args
                    and any(isinstance(part, ast.FormattedValue) for part in ast.walk(node.args[0]))
                ):
                    formatted.append(f"{path.relative_to(settings.BASE_DIR)}:{node.lineno}")
    assert [place for place in formatted if not place.startswith("core/sql/composition.py")] == []


def test_a_template_is_filled_with_params_by_name():
    found = bind("a = {a} AND b = {b:timestamptz} OR {a} = '{{}}'", b="now", a=1)

    assert found == Sql("a = %s AND b = %s::timestamptz OR %s = '{}'", (1, "now", 1))
    with pytest.raises(TypeError, match="slot that nothing is given for: 'b'"):
        bind("a = {a} AND b = {b}", a=1)
    with pytest.raises(TypeError, match="no slots of these names: c"):
        bind("a = {a}", a=1, c=2)


@pytest.fixture
def composed():
    """Return a builder of statements, and the list of the shapes that it has composed."""
    shapes = []

    @composed_once
    def rows_of(table, *, condition, limit):
        shapes.append(table)
        return sql(
            "SELECT {kind} FROM {table} WHERE {condition} LIMIT {limit} -- {condition}",
            kind=param(table),
            table=identifier(table),
            condition=condition,
            limit=limit,
        )

    return rows_of, shapes


def test_a_shape_is_composed_once_and_gets_the_params_of_each_call(composed):
    rows_of, shapes = composed

    found = [rows_of("a", condition=equals("x.y", key), limit=param(key + 1)) for key in (1, 2)]

    text = "SELECT %s FROM a WHERE x.y = %s LIMIT %s -- x.y = %s"
    assert found == [Sql(text, ("a", 1, 2, 1)), Sql(text, ("a", 2, 3, 2))]
    assert shapes == ["a"]


def test_another_fact_or_text_is_another_shape(composed):
    rows_of, shapes = composed

    rows_of("a", condition=Sql("TRUE"), limit=integer(1))
    rows_of("b", condition=Sql("TRUE"), limit=integer(1))
    found = rows_of("a", condition=Sql("x LIKE '100%%s'"), limit=integer(1))

    assert found == Sql("SELECT %s FROM a WHERE x LIKE '100%%s' LIMIT 1 -- x LIKE '100%%s'", ("a",))
    assert shapes == ["a", "b", "a"]


def test_params_in_another_order_than_their_pieces_find_their_places():
    @composed_once
    def reversed_pair(*, first, second):
        return sql("{second}, {first}", first=first, second=second)

    for key in (1, 2):
        assert reversed_pair(first=param(key), second=param("b")).params == ("b", key)


def test_a_piece_that_a_shape_leaves_out_takes_its_params_along():
    @composed_once
    def only_the_first(*, first, second):
        return first

    for key in (1, 2):
        assert only_the_first(first=param(key), second=param(9)) == Sql("%s", (key,))


def test_a_long_shape_is_not_remembered(composed):
    rows_of, shapes = composed
    long = Sql("x" * LONGEST_SHAPE)

    assert rows_of("a", condition=long, limit=param(1)) == rows_of("a", condition=long, limit=param(1))
    assert shapes == ["a", "a"]


def test_equals_compares_a_plain_column():
    assert equals("segment.tenant_id", 7) == Sql("segment.tenant_id = %s", (7,))
    with pytest.raises(ValueError, match="no plain name"):
        equals("segment.id = 1 OR segment.id", 7)
