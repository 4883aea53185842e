"""Measures a case: subject and limit in turn, so that a noisy machine disturbs both alike."""

import json
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import orjson
from django.db import connection
from django.test.utils import override_settings

from bench.bare_inserts import bare_insert
from bench.cases import Case, Limit
from bench.limits import PREFIX
from bench.load import LONGEST_WAIT, Load, Request, put_under_load
from bench.machine import pin_to_worker_core
from bench.replays import Replay, Statement, perform
from bench.restoring import restore
from core.json_types import JsonObject

RUNS = 3
WARM_UP = 1.0  # seconds
RUN_OF_SLOW_ANSWERS = 3  # times as long as it took until the first were there
REPLAYED_REQUESTS = 400  # of a case with more requests than that
REPLAYED_COLD = 10  # of a case whose requests ask for the same


class UnexpectedAnswer(Exception):
    """An operation does not answer what its case expects, so measuring it would mean nothing."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A case that is ready to run: its requests, and what they came to in this process."""

    case: Case
    requests: list[Request]
    replays: list[Replay]

    @property
    def inserts(self) -> list[Statement]:
        """The bare statements that write the rows of the batches, as many as there are requests."""
        return [bare_insert(request) for request in self.requests]


@override_settings(TOKEN_STATE_LIFETIME=3_600)
def prepare(case: Case) -> Prepared:
    """Send the requests once in this process: the answers are checked, the statements kept.

    Tokens are not looked at again meanwhile, which would count as a statement of the operation.
    Raises UnexpectedAnswer.
    """
    requests = list(case.requests())
    replayed = REPLAYED_COLD if case.is_cold else REPLAYED_REQUESTS
    # What the first request caches is not the operation's own, nor what the first one of each shopper keeps.
    for request in requests[:1] if case.writes or case.is_cold else requests[:replayed]:
        perform(request)
    if case.writes and not case.writes_again:
        restore()
    replays = [checked(case, request) for request in requests[:replayed]]
    if case.writes and not case.writes_again:
        restore()
    return Prepared(case, requests, replays)


def checked(case: Case, request: Request) -> Replay:
    replay = perform(request)
    if replay.status != case.status:
        raise UnexpectedAnswer(f"{replay.status} instead of {case.status}: {replay.body[:300]!r}")
    if case.entries is not None and len(orjson.loads(replay.body)) != case.entries:
        raise UnexpectedAnswer(f"{len(orjson.loads(replay.body))} entries instead of {case.entries}")
    if case.rows > 1 and any(entry["code"] >= 400 for entry in orjson.loads(replay.body)):
        raise UnexpectedAnswer(f"refused rows: {replay.body[:300]!r}")
    return replay


def measure(prepared: Prepared, *, port: int, seconds: float) -> JsonObject:
    """Run subject and limit in turn, three times each; return medians, and the ratio pair by pair.

    Raises UnexpectedAnswer.
    """
    case = prepared.case
    run_limit = limit_of(prepared, port=port)
    requests = prepared.requests
    if not case.writes:
        requests = list(case.requests())  # anew: a tag may be out of date since other cases wrote
        checked(case, requests[0])

    def run_subject(seconds: float) -> Load:
        sent = list(case.requests()) if case.is_cold else requests
        return put_under_load(sent, port=port, seconds=seconds)

    seconds = max(warm_up(run, seconds) for run in (run_subject, run_limit))
    pairs = []
    for _ in range(RUNS):
        pair = []
        for run in (run_subject, run_limit):
            if case.writes and not case.writes_again:
                restore()
            load = run(seconds)
            if load.failures or not load.requests:
                raise UnexpectedAnswer(
                    f"under load {load.failures} requests failed, {load.requests} were answered"
                )
            pair.append(load)
        pairs.append(pair)
    if case.writes:
        restore()
    subjects, limits = zip(*pairs, strict=True)
    return {
        "per_second": round(median(load.per_second for load in subjects) * case.rows, 1),
        "unit": "rows" if case.rows > 1 else "requests",
        "p50_ms": round(median(load.p50 for load in subjects), 2),
        "p99_ms": round(median(load.p99 for load in subjects), 2),
        "statements": max(len(replay.statements) for replay in prepared.replays),
        "bytes": len(prepared.replays[0].body),
        "limit": case.limit.value,
        "limit_per_second": round(median(load.per_second for load in limits) * case.rows, 1),
        "ratio": round(median(subject.per_second / limit.per_second for subject, limit in pairs), 3),
        "target": case.target,
        "requests": sum(load.requests for load in subjects),
    }


def warm_up(run: Callable[[float], Load], seconds: float) -> float:
    """Let it run until something was answered; return how long it is to be measured, at least `seconds`.

    Eight answers at a time of ten megabytes each may take longer than a usual run.
    """
    lasting = WARM_UP
    while not run(lasting).requests:
        if lasting > LONGEST_WAIT:
            raise UnexpectedAnswer(f"nothing was answered within {lasting:.0f} s")
        lasting *= 2
    return max(seconds, RUN_OF_SLOW_ANSWERS * lasting) if lasting > WARM_UP else seconds


def limit_of(prepared: Prepared, *, port: int) -> Callable[[float], Load]:
    """Return what runs the limit of the case for some seconds."""
    case = prepared.case
    match case.limit:
        case Limit.BARE_INSERT:
            return lambda seconds: run_bare_inserts(prepared.inserts, seconds=seconds)
        case Limit.FULL_ANSWER:
            full = case.full or case.requests  # anew for each run, so that no process has the body
            return lambda seconds: put_under_load(list(full()), port=port, seconds=seconds)
        case Limit.EMPTY_VIEW:
            requests = [Request("GET", f"{PREFIX}empty")]
        case Limit.SIGNATURE:
            requests = [Request("GET", f"{PREFIX}signature")]
        case Limit.SAME_SQL:
            requests = [Request("GET", PREFIX + slug(case.name))]
    return lambda seconds: put_under_load(requests, port=port, seconds=seconds)


def run_bare_inserts(statements: list[Statement], *, seconds: float) -> Load:
    """Send the statements from a process of its own, on the core of the web worker."""
    parameters = connection.get_connection_params()
    wanted = {
        name: str(parameters[name])
        for name in ("dbname", "host", "port", "user", "password", "sslmode")
        if parameters.get(name)
    }
    with tempfile.NamedTemporaryFile(prefix="inserts-") as file:
        pickle.dump((statements, wanted), file)
        file.flush()
        reported = subprocess.run(
            [sys.executable, "-m", "bench.bare_writes", file.name, str(seconds)],
            capture_output=True,
            text=True,
            check=True,
            preexec_fn=pin_to_worker_core,
        )
    return Load(**json.loads(reported.stdout))


def slug(name: str) -> str:
    """Return the name as a part of a path."""
    return "".join(character if character.isalnum() else "-" for character in name)
