"""Measures the mixture: at rising load, then at a steady one with nothing and with other work beside it."""

from statistics import median

from django.conf import settings

from bench.dataset import ensure_dataset
from bench.load import CONNECTIONS, Load, put_under_load
from bench.mixture.beside import KINDS, beside
from bench.mixture.requests import STATUSES, WEIGHTS, Mixture
from bench.mixture.work import end_rules
from bench.restoring import restore
from bench.running import tell
from bench.scales import Scale
from bench.server import Server

SLOW = 50.0  # milliseconds that the slowest hundredth may take
MOST_CONNECTIONS = 1_024
ROUNDS = 3
AT_LEAST = 0.8  # of the undisturbed rate, beside evaluations of a rule


def main(scale: Scale, seconds: int) -> int:
    """Measure and print; return 1 when reads beside evaluations are slower than wanted."""
    tell(f"Data set {scale.name}: {scale.customers:,} customers, {scale.products:,} products ...")
    ensure_dataset(scale)
    mixture = Mixture(scale)
    if (statuses := mixture.statuses()) != {kind: STATUSES.get(kind, 200) for kind in WEIGHTS}:
        raise RuntimeError(f"The requests of the mixture are answered {statuses}.")
    print(f"{len(mixture.customers):,} customers in {mixture.sets} sets of segments, scale {scale.name}")
    with Server(settings.VAR_DIR) as server:
        before = server.megabytes()
        rise(mixture, server, seconds)
        print(
            f"The worker has {server.megabytes():.0f} MB, {before:.0f} before;"
            f" bodies are kept in at most {settings.RESPONSE_CACHE_MB}."
        )
        ratios = {kind: measure_beside(kind, mixture, server, seconds) for kind in KINDS}
        end_rules()
    restore()
    return int(ratios["rules"] < AT_LEAST)


def rise(mixture: Mixture, server: Server, seconds: int) -> None:
    """Double the connections until the slowest hundredth takes too long; print a line for each load."""
    requests = mixture.requests()
    put_under_load(requests, port=server.port, seconds=seconds)  # bodies are kept from now on
    print(f"{'connections':>11}{'a second':>10}{'p50 ms':>9}{'p99 ms':>9}")
    connections, load = 1, None
    while connections <= MOST_CONNECTIONS and (load is None or load.p99 <= SLOW):
        load = checked(put_under_load(requests, port=server.port, seconds=seconds, connections=connections))
        print(
            f"{connections:>11}{load.per_second:>10,.0f}{load.p50:>9.1f}{load.p99:>9.1f}"
            f"{'  too slow' if load.p99 > SLOW else ''}",
            flush=True,
        )
        connections *= 2


def measure_beside(kind: str, mixture: Mixture, server: Server, seconds: int) -> float:
    """Measure in turns without and with other work; print and return the ratio of the rates."""
    pairs = []
    for _ in range(ROUNDS):
        requests = mixture.requests()
        undisturbed = checked(put_under_load(requests, port=server.port, seconds=seconds))
        with beside(kind):
            disturbed = checked(put_under_load(requests, port=server.port, seconds=seconds))
        pairs.append((undisturbed, disturbed))
    ratio = median(disturbed.per_second / undisturbed.per_second for undisturbed, disturbed in pairs)
    slowest = [median(load.p99 for load in loads) for loads in zip(*pairs, strict=True)]
    print(
        f"beside {kind}, {CONNECTIONS} connections: {ratio:.2f} of the undisturbed rate,"
        f" p99 {slowest[1]:.1f} ms instead of {slowest[0]:.1f}",
        flush=True,
    )
    return ratio


def checked(load: Load) -> Load:
    if load.failures or not load.requests:
        raise RuntimeError(f"Under load {load.failures} requests failed, {load.requests} were answered.")
    return load
