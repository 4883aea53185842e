from collections.abc import Callable, Iterator
from contextlib import ExitStack
from unittest import mock

import pytest

from core.background import jobs, tasks
from core.background.jobs import JobKind
from core.background.tasks import Task


@pytest.fixture
def register() -> Iterator[Callable[[Task | JobKind], None]]:
    """Register tasks and kinds of job for this test; those of the apps are not there meanwhile."""
    with ExitStack() as stack:
        stack.enter_context(mock.patch.dict(tasks._tasks, clear=True))
        stack.enter_context(mock.patch.dict(jobs._kinds, clear=True))

        def add(one: Task | JobKind) -> None:
            if isinstance(one, Task):
                tasks.register_task(one)
            else:
                jobs.register_job_kind(one)

        yield add
