import pytest

from core.cycles import find_cycles


@pytest.mark.parametrize(
    ("parents", "found"),
    [
        ({}, []),
        ({"a": None, "b": "a", "c": "b"}, []),
        ({"a": "elsewhere", "b": "a"}, []),
        ({"a": "a"}, [["a"]]),
        ({"x": "a", "a": "b", "b": "c", "c": "a"}, [["a", "b", "c"]]),
        ({"a": "b", "b": "a", "x": "y", "y": "x", "z": None}, [["a", "b"], ["x", "y"]]),
    ],
    ids=["nothing", "a-tree", "a-top-elsewhere", "itself", "behind-a-tail", "two"],
)
def test_find_cycles_are_found_each_once_and_trees_are_none(parents, found):
    assert list(find_cycles(parents)) == found
