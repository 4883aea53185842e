"""What is reported of a comparison with Medusa and Vendure follows from what was measured."""

import json

import pytest

from bench.dataset.segments import FIRST_EMPTY_SEGMENT
from bench.load import Load
from bench.measuring import UnexpectedAnswer
from bench.peers import comparing
from bench.peers.comparing import OURS, good, measure_in_turns, table, times
from bench.peers.peer import SOURCES, Asked, codes, entries_in, version_of
from bench.requests import BATCH, ShopRequests, batches_of
from bench.scales import SCALES

SMALL = SCALES["small"]


def load(per_second: float, failures: int = 0) -> Load:
    return Load(requests=int(per_second), seconds=1, p50=1, p99=1, failures=failures)


def test_ours_is_compared_with_the_better_peer_of_each_turn():
    speeds = {OURS: [100.0, 100.0, 30.0], "one": [10.0, 5.0, 1.0], "two": [5.0, 20.0, 3.0]}
    assert times(speeds) == 10  # of 10, 5 and 10


def test_the_table_has_a_row_for_each_operation():
    speeds = {OURS: [4_000.0], "Medusa 2": [8.0], "Vendure 3": [3.26]}
    assert list(table({"whole category tree": speeds}, ["Medusa 2", "Vendure 3"])) == [
        "| operation | ours a second | Medusa 2 | Vendure 3 | times the better |",
        "|---|---|---|---|---|",
        "| whole category tree | 4,000 | 8.0 | 3.3 | 500 |",
    ]


def test_all_take_turns_for_as_long_as_each_needs():
    asked = []

    def side(name: str, slowest: float, rows: int = 1) -> comparing.Side:
        def run(seconds: float) -> Load:
            asked.append((name, seconds))
            return load(10 if seconds >= slowest else 0)

        return comparing.Side(run, rows)

    sides = {OURS: side(OURS, 0), "slow": side("slow", 4, rows=200)}
    assert measure_in_turns(sides, seconds=2, rounds=2) == {OURS: [10, 10], "slow": [2_000, 2_000]}
    assert asked[-4:] == [(OURS, 2), ("slow", 12), (OURS, 2), ("slow", 12)]


def test_a_load_with_failures_is_no_speed():
    assert good(load(3)) == load(3)
    with pytest.raises(UnexpectedAnswer, match="1 requests of 3 failed"):
        good(load(3, failures=1))


class WritingPeer:
    """A peer that is said to have answered 10 requests, and has written so many rows."""

    name, port = "peer", 0

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def written(self, asked: Asked) -> int:
        return self.rows

    def ignore(self, *of: object) -> None:
        pass

    check = restore = send = ignore


@pytest.mark.parametrize(
    ("rows", "is_enough"), [(1_999, False), (2_000, True), (3_000, True), (3_001, False)]
)
def test_a_write_counts_only_when_its_rows_are_there(rows, is_enough, monkeypatch):
    monkeypatch.setattr(comparing, "put_under_load", lambda *of, **how: load(10))
    asked = Asked([None] * 15, (), written="SELECT", each=200)
    side = comparing.side_of(WritingPeer(rows), asked)
    if is_enough:
        assert side.speed(2) == 2_000
    else:
        with pytest.raises(UnexpectedAnswer, match=f"10 requests have written {rows} rows"):
            side.speed(2)


@pytest.mark.parametrize(
    ("answer", "entries"),
    [
        ({"data": {"list": [1, 2]}}, 2),
        ({"data": {"list": "one"}}, 1),
        ({"data": {"list": None}}, None),
        ({"data": None}, None),
        ({"errors": [], "data": {"list": [1]}}, None),
    ],
)
def test_entries_of_an_answer(answer, entries):
    assert entries_in(json.dumps(answer).encode(), ("data", "list")) == entries


def test_a_version_of_node():
    assert version_of("v20.19.4\n") == (20, 19)


def test_every_shopper_has_used_a_code_before_one_has_used_two():
    shop = ShopRequests(SMALL, 3)
    asked = codes(shop)
    assert [key for key, _ in asked] == shop.shoppers * 5
    assert len(set(asked)) == 15


def test_no_customer_is_added_to_a_segment_twice():
    pairs = [(segment, key) for segment, keys in batches_of(1_000, 12) for key in keys]
    assert len(set(pairs)) == 12 * BATCH
    assert {segment for segment, _ in pairs} == {FIRST_EMPTY_SEGMENT + n for n in range(3)}


@pytest.mark.parametrize("folder", ["medusa", "vendure"])
def test_every_version_is_pinned(folder):
    wanted = json.loads((SOURCES / folder / "package.json").read_text())["dependencies"]
    locked = json.loads((SOURCES / folder / "package-lock.json").read_text())["packages"]
    assert wanted == {name: locked[f"node_modules/{name}"]["version"] for name in wanted}
    assert all("integrity" in package for path, package in locked.items() if path)
