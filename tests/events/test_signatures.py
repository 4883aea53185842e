"""How events are written for their signatures."""

import pytest

from events.sending.signatures import canonical_json


@pytest.mark.parametrize(
    ("number", "written"),  # as JSON.stringify does
    [
        (10.0, "10"),
        (-0.0, "0"),
        (0.5, "0.5"),
        (0.00001, "0.00001"),
        (0.000001, "0.000001"),
        (-0.0000015, "-0.0000015"),
        (0.0000001, "1e-7"),
        (2.0**53, "9007199254740992"),
        (1.5e16, "15000000000000000"),
        (1.2345678901234568e20, "123456789012345680000"),
        (1e21, "1e+21"),
    ],
)
def test_numbers_are_written_as_javascript_does(number: float, written: str) -> None:
    assert canonical_json({"b": [number], "a": 1}).decode() == f'{{"a":1,"b":[{written}]}}'
