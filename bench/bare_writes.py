"""The limit of bulk writes: psycopg sends the same rows by the bare INSERT, as quickly as it can.

`python -m bench.bare_writes FILE SECONDS`, on the core of the web worker, over as many connections as the
worker has threads. Prints one line of JSON.
"""

import json
import os
import pickle
import statistics
import sys
import threading
import time
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import tuple_row

from bench.load import Load
from bench.replays import Statement
from config.server.granian import threads_per_worker
from core.json_types import JsonObject


def send_in_turn(
    statements: Sequence[Statement], *, connection_parameters: JsonObject, seconds: float
) -> Load:
    """Send the statements in turn until the time is over, each in a transaction of its own."""
    turns, latencies = count(), list[float]()
    connections = [
        psycopg.connect(**connection_parameters, autocommit=True, row_factory=tuple_row)
        for _ in range(threads_per_worker(os.environ))
    ]
    started = time.perf_counter()
    end = started + seconds

    def send(connection: psycopg.Connection[Any]) -> None:
        while (begin := time.perf_counter()) < end:
            statement = statements[next(turns) % len(statements)]
            connection.execute(statement.sql, statement.params).fetchall()
            latencies.append(time.perf_counter() - begin)

    threads = [threading.Thread(target=send, args=(connection,)) for connection in connections]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - started
    for connection in connections:
        connection.close()
    places = statistics.quantiles(latencies, n=100)
    return Load(len(latencies), elapsed, places[49] * 1_000, places[98] * 1_000, failures=0)


def main() -> None:
    with Path(sys.argv[1]).open("rb") as file:
        statements, parameters = pickle.load(file)
    load = send_in_turn(statements, connection_parameters=parameters, seconds=float(sys.argv[2]))
    print(json.dumps({name: getattr(load, name) for name in Load.__slots__}))


if __name__ == "__main__":
    main()
