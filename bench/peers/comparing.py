"""Runs ours and the peers in turns, and prints how many times the better of them ours reaches."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

from django.conf import settings

from bench.cases import Case, cases_of
from bench.dataset import ensure_dataset
from bench.load import Load, generator_name, put_under_load
from bench.machine import busy_cores, describe_machine
from bench.measuring import UnexpectedAnswer, prepare, warm_up
from bench.peers.medusa import Medusa
from bench.peers.peer import Asked, Peer, missing_node
from bench.peers.vendure import Vendure
from bench.restoring import restore
from bench.running import tell
from bench.scales import SCALES
from bench.server import Server

SHARED = (
    "products of a category",
    "whole category tree",
    "segments of a customer",
    "customers of a segment, a page",
    "add 200 customers",
    "validate a coupon",
    "redeem a coupon",
)
FIRST_READ = ", first read"  # ends the names of our operations that have no kept body
OURS = "ours"


@dataclass(frozen=True, slots=True)
class Side:
    """One of those that are compared: it runs for some seconds, from the rows that all runs begin with."""

    run: Callable[[float], Load]
    rows: int = 1

    def speed(self, seconds: float) -> float:
        return self.run(seconds).per_second * self.rows


def compare(*, seconds: int, rounds: int, only: Sequence[str], rebuild: bool) -> int:
    """Measure all that is asked for; return 1 when something could not be measured, else 0."""
    if problem := missing_node():
        print(problem, file=sys.stderr)
        return 1
    scale = SCALES["small"]
    tell("Our data set ...")
    ensure_dataset(scale)
    peers = [Medusa(scale), Vendure(scale)]
    for peer in peers:
        tell(f"{peer.name}: install ...")
        peer.install()
        tell(f"{peer.name}: data set ...")
        peer.ensure_database(rebuild=rebuild)
    cases = [
        case
        for case in cases_of(scale, seconds)
        if case.name.removesuffix(FIRST_READ) in SHARED
        and (not only or any(text.lower() in case.name for text in only))
    ]
    load_before = busy_cores()
    rows: dict[str, dict[str, list[float]]] = {}
    failures = {}
    with ExitStack() as stack:
        server = stack.enter_context(Server(settings.VAR_DIR))
        take_back(peers)
        for peer in peers:
            tell(f"{peer.name}: start ...")
            stack.enter_context(peer.serving())
        asked = {peer.name: peer.operations() for peer in peers}
        for number, case in enumerate(cases, 1):
            tell(f"{number}/{len(cases)} {case.name} ...")
            try:
                sides = {OURS: our_side(case, port=server.port)}
                for peer in peers:
                    sides[peer.name] = side_of(peer, asked[peer.name][case.name.removesuffix(FIRST_READ)])
                rows[case.name] = measure_in_turns(sides, seconds=seconds, rounds=rounds)
                tell(row(case.name, rows[case.name]))
            except UnexpectedAnswer as problem:
                failures[case.name] = str(problem)
            take_back(peers)  # what comes next is to meet the data set
    machine = describe_machine()
    print("\n".join(table(rows, [peer.name for peer in peers])))
    print(
        f"\n{machine['cpu']}, {machine['cores']} cores, PostgreSQL {machine['postgresql']},"
        f" {generator_name()}, {rounds} rounds of {seconds} s; {load_before:.1f} cores were busy before."
    )
    for name, reason in failures.items():
        print(f"NOT MEASURED {name}: {reason}")
    return 1 if failures else 0


def take_back(peers: Sequence[Peer]) -> None:
    """Delete what was written since all data sets were made."""
    restore()
    for peer in peers:
        peer.restore()


def our_side(case: Case, *, port: int) -> Side:
    requests = prepare(case).requests

    def run(seconds: float) -> Load:
        if case.writes:
            restore()
        return good(
            put_under_load(list(case.requests()) if case.is_cold else requests, port=port, seconds=seconds)
        )

    return Side(run, case.rows)


def side_of(peer: Peer, asked: Asked) -> Side:
    """Return a peer's side. A run ends when those answers are there as well that nobody waits for."""
    peer.check(asked)

    def run(seconds: float) -> Load:
        if asked.written:
            peer.restore()
        load = good(put_under_load(asked.requests, port=peer.port, seconds=seconds))
        peer.send(asked.requests[0])
        if asked.written:
            written = peer.written(asked)
            if not load.requests * asked.each <= written <= len(asked.requests) * asked.each:
                raise UnexpectedAnswer(f"{peer.name}: {load.requests} requests have written {written} rows")
        return load

    return Side(run, asked.each)


def good(load: Load) -> Load:
    if load.failures:
        raise UnexpectedAnswer(f"under load {load.failures} requests of {load.requests} failed")
    return load


def measure_in_turns(sides: Mapping[str, Side], *, seconds: float, rounds: int) -> dict[str, list[float]]:
    """Return the speeds of each side, one of each round."""
    lasting = {name: warm_up(side.run, seconds) for name, side in sides.items()}
    speeds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            speeds[name].append(side.speed(lasting[name]))
    return speeds


def table(rows: Mapping[str, Mapping[str, Sequence[float]]], peers: Sequence[str]) -> Iterator[str]:
    """Yield the lines of the table: medians, and the median of how many times the better peer of a round."""
    yield "| operation | ours a second | " + " | ".join(peers) + " | times the better |"
    yield "|---" * (len(peers) + 3) + "|"
    yield from (row(name, speeds) for name, speeds in rows.items())


def row(name: str, speeds: Mapping[str, Sequence[float]]) -> str:
    """Return a line of the table; the speeds are ours first, then those of the peers."""
    cells = [name, *(figure(median(values)) for values in speeds.values()), figure(times(speeds))]
    return f"| {' | '.join(cells)} |"


def times(speeds: Mapping[str, Sequence[float]]) -> float:
    """Return how many times the better of the others ours reaches, round by round; the median."""
    others = zip(*(values for name, values in speeds.items() if name != OURS), strict=True)
    return median(ours / max(round_) for ours, round_ in zip(speeds[OURS], others, strict=True))


def figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
