"""Writes the conditions of a `q` as text, so that `parse` reads the same conditions back."""

from collections.abc import Iterable

from core.representation.conditions import (
    AllOf,
    AnyOf,
    Comparison,
    Condition,
    Equals,
    Exists,
    IsNull,
    Matches,
    Missing,
    Negation,
    OneOf,
    Range,
    Term,
    Test,
    Top,
    Value,
)


def write_query(conditions: Iterable[Condition]) -> str:
    """Return the text of conditions that must all hold."""
    return " ".join(
        write_term(condition)
        if isinstance(condition, Term)
        else f"compoundLogicalQuery:({_write_operand(condition)})"
        for condition in conditions
    )


def write_term(term: Term) -> str:
    return f"{'.'.join(term.path)}:{write_test(term.test)}"


def write_test(test: Test) -> str:
    match test:
        case Equals(value):
            return write_value(value)
        case OneOf(values):
            return f"({','.join(map(write_value, values))})"
        case Range((comparison,)):
            return _write_comparison(comparison)
        case Range(comparisons):
            return f"({' AND '.join(map(_write_comparison, comparisons))})"
        case Matches(pattern):
            return f"(~({pattern}))"
        case Top(number, is_percent):
            return f"top({number}{'%' if is_percent else ''})"
        case IsNull():
            return "null"
        case Exists():
            return "exists"
        case Missing():
            return "missing"


def write_value(value: Value) -> str:
    if not value.quoted:
        return value.text
    escaped = value.text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _write_comparison(comparison: Comparison) -> str:
    return comparison.operator + write_value(comparison.value)


def _write_operand(condition: Condition) -> str:
    """Return the text between the brackets of a group."""
    match condition:
        case AllOf(operands):
            return " AND ".join(f"({_write_operand(operand)})" for operand in operands)
        case AnyOf(operands):
            return " OR ".join(f"({_write_operand(operand)})" for operand in operands)
        case Negation(operand):
            return f"NOT ({_write_operand(operand)})"
    return write_term(condition)
