import pytest

from core.background import buffers
from core.paced_threads import PacedThread
from tests.waiting import PATIENCE, wait_until


@pytest.fixture
def registered(monkeypatch):
    """Only the buffers that a test registers."""
    monkeypatch.setattr(buffers, "_buffers", {})
    monkeypatch.setattr(buffers.connections, "close_all", lambda: None)


def test_what_is_left_is_written_when_the_worker_ends(registered):
    written = []
    buffers.register_buffer("counts", lambda: written.append("counts"))
    flushing = PacedThread(buffers.flush_buffers, seconds=3_600, name="buffers")
    flushing.start()
    wait_until(lambda: written == ["counts"])
    flushing.finish(PATIENCE)
    assert not flushing.is_alive()
    assert written == ["counts", "counts"]


def test_a_buffer_that_fails_is_logged_and_keeps_no_other_from_being_written(registered, caplog):
    written = []

    def fail():
        raise RuntimeError("away")

    buffers.register_buffer("first", fail)
    buffers.register_buffer("second", lambda: written.append("second"))
    buffers.flush_buffers()
    assert written == ["second"]
    assert "The buffer first could not be written" in caplog.text
