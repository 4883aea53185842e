"""What is done in the background again and again. Apps register their tasks in `AppConfig.ready`."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

SLICE_ROWS = 5_000


@dataclass(frozen=True, slots=True)
class Task:
    """Work that comes again: every `interval`, or whenever `due_since` says so.

    `run` does one bounded slice, of a few seconds at most, at the given time, in transactions of its own,
    and returns whether there is more to do at once. It may be killed at any statement and is then run again,
    so what it did not commit must be found by the next run. `due_since` returns since when work is waiting,
    None for no work; every worker asks about once a second, so it must be one indexed look-up.
    `finish` is called when the worker ends, and completes in a few seconds what `run` has left to threads.

    A prompt task waits for no other work: each worker has a thread for these, which asks every half second.
    All workers do it at the same time, so `run` locks what it works at by itself.
    """

    name: str
    run: Callable[[datetime], bool]
    interval: timedelta | None = None
    due_since: Callable[[], datetime | None] | None = None
    finish: Callable[[], None] | None = None
    is_prompt: bool = False

    def __post_init__(self) -> None:
        if (self.interval is None) == (self.due_since is None):
            raise ValueError(f"The task {self.name} needs either an interval or due_since.")


_tasks: dict[str, Task] = {}


def register_task(task: Task) -> None:
    """Have workers run the task from now on."""
    if _tasks.setdefault(task.name, task) is not task:
        raise ValueError(f"There are two tasks named {task.name}.")


def registered_tasks() -> dict[str, Task]:
    """Return all tasks by name."""
    return dict(_tasks)
