"""One benchmark from the data set to the table."""

import argparse
import sys
from datetime import UTC, datetime
from statistics import median

from django.conf import settings

from bench.callers import service_headers
from bench.cases import Case, Limit, cases_of
from bench.dataset import ensure_dataset
from bench.dataset.building import drop_database
from bench.dataset.people import SHOP
from bench.limits import write_replays
from bench.load import CONNECTIONS, generator_name, put_under_load
from bench.machine import busy_cores, describe_machine
from bench.measuring import Prepared, UnexpectedAnswer, measure, prepare, slug
from bench.requests import SHOP_SEGMENTS
from bench.results import committed_results, depth, differences, growth, load_results, save_results, table
from bench.scales import SCALES
from bench.server import Server
from core.json_types import JsonObject

COLD_STARTS = 3


def run_benchmark(options: argparse.Namespace) -> int:
    """Do what the command line asks for; return 1 when an operation could not be measured, else 0."""
    scale = SCALES[options.scale]
    cases = [
        case
        for case in cases_of(scale, options.seconds)
        if not options.only or any(text.lower() in case.name for text in options.only)
    ]
    if options.list:
        print("\n".join(case.name for case in cases))
        return 0
    if options.drop:
        drop_database()
        return 0
    tell(f"Data set {scale.name}: {scale.customers:,} customers, {scale.products:,} products ...")
    ensure_dataset(scale, rebuild=options.rebuild)
    machine = describe_machine()
    load_before = busy_cores()
    prepared, failures = prepare_all(cases)
    for ready in prepared:
        if ready.case.limit is Limit.SAME_SQL:
            write_replays(slug(ready.case.name), ready.replays)
    operations: JsonObject = {}
    cold_start = measure_cold_start()
    with Server(settings.VAR_DIR) as server:
        start = {"seconds_to_ready": round(server.seconds_to_ready, 2), "cold_start_seconds": cold_start}
        memory = {"idle_mb": round(server.megabytes())}
        requests = 0
        for number, ready in enumerate(prepared, 1):
            tell(f"{number}/{len(prepared)} {ready.case.name} ...")
            try:
                row = measure(ready, port=server.port, seconds=options.seconds)
            except UnexpectedAnswer as problem:
                failures[ready.case.name] = str(problem)
                continue
            operations[ready.case.name] = {**row, "worker_mb": round(server.megabytes())}
            requests += row.pop("requests")
        if options.soak:
            requests += soak(server, prepared, options.soak)
        memory |= {"mb": round(server.megabytes()), "after_requests": requests}
    measured = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine,
        "load": {
            "generator": generator_name(),
            "connections": CONNECTIONS,
            "seconds": options.seconds,
            "busy cores before": round(load_before, 1),
        },
        "start": start,
        "memory": memory,
        "operations": operations,
    }
    report(scale.name, measured, failures)
    if options.save:
        save_results(scale.name, measured, is_partial=bool(options.only))
    return 1 if failures else 0


def prepare_all(cases: list[Case]) -> tuple[list[Prepared], dict[str, str]]:
    """Return the cases that answer what they should, and why the others do not."""
    prepared, failures = [], {}
    for case in cases:
        try:
            prepared.append(prepare(case))
        except UnexpectedAnswer as problem:
            failures[case.name] = str(problem)
    return prepared, failures


def measure_cold_start() -> float:
    """Return the seconds from a server's start to its worker's first answer, the median of three."""
    times = []
    for _ in range(COLD_STARTS):
        with Server(
            settings.VAR_DIR,
            directly=True,
            path=f"{SHOP_SEGMENTS}/s000001/nothing",
            headers=dict(service_headers(SHOP)),
        ) as server:
            times.append(server.seconds_to_ready)
    return round(median(times), 2)


def soak(server: Server, prepared: list[Prepared], wanted: int) -> int:
    """Send a mixture of all reads until at least so many requests were answered; return how many were."""
    mixture = [ready.requests[0] for ready in prepared if not ready.case.writes and ready.case.status == 200]
    sent = 0
    while sent < wanted:
        sent += put_under_load(mixture, port=server.port, seconds=30).requests
        tell(f"{sent:,} requests, {server.megabytes():.0f} MB ...")
    return sent


def report(scale: str, measured: JsonObject, failures: dict[str, str]) -> None:
    start, memory = measured["start"], measured["memory"]
    print("\n".join(table(measured["operations"])))
    print(
        f"\nReady {start['seconds_to_ready']} s after the start; a cold worker answers after"
        f" {start['cold_start_seconds']} s; the worker has {memory['mb']} MB after"
        f" {memory['after_requests']:,} requests."
    )
    for name, reason in failures.items():
        print(f"NOT MEASURED {name}: {reason}")
    if before := committed_results().get(scale):
        moved = list(differences(before, measured))
        print("\nMoved by more than 20 % since the last committed results:" if moved else "\nNothing moved.")
        print("\n".join(moved))
    print("\n".join(depth(measured["operations"])))
    if scale == "large" and (small := load_results().get("small")):
        print("Cost at large, compared with small:")
        print("\n".join(growth(small, measured)))


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
