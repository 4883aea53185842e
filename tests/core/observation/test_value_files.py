"""Files of metrics on a disk that is full."""

import errno
import os
from pathlib import Path

import pytest
from prometheus_client import values
from prometheus_client.mmap_dict import MmapedDict

from core.observation import value_files
from core.observation.value_files import SIZE, AllocatedValues


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """A disk that takes as many bytes as `room` says."""
    state = {"room": 10 * SIZE}

    def extend(descriptor: int, size: int) -> None:
        written = min(size, state["room"])
        state["room"] -= os.write(descriptor, bytes(written))
        if written < size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(value_files, "extend", extend)
    return state


def stored(path: Path) -> dict[str, float]:
    return {key: value for key, value, *_ in MmapedDict.read_all_values_from_file(str(path))}


def key_of(number: int) -> str:
    return f'["segments_family", "segments_family_total", {{"route": "/{number}"}}, "help"]'


def test_the_metrics_of_this_project_are_kept_so() -> None:
    assert values.MmapedDict is AllocatedValues


def test_all_bytes_of_a_file_are_on_the_disk_while_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "counter_1.db"
    file = AllocatedValues(str(path))
    for number in range(2_000):
        file.write_value(key_of(number), number, 0.0)
        assert path.stat().st_blocks * 512 >= path.stat().st_size >= SIZE
    assert path.stat().st_size == 4 * SIZE
    assert stored(path) == {key_of(number): number for number in range(2_000)}


def test_a_file_is_continued(tmp_path: Path) -> None:
    path = tmp_path / "counter_1.db"
    AllocatedValues(str(path)).write_value("a", 1.0, 0.0)
    assert AllocatedValues(str(path)).read_value("a") == (1.0, 0.0)
    assert path.stat().st_size == SIZE


def test_what_finds_no_room_goes_on_in_memory(tmp_path: Path, disk: dict[str, int], caplog) -> None:
    path = tmp_path / "counter_1.db"
    disk["room"] = SIZE + 100
    file = AllocatedValues(str(path))
    for number in range(2_000):
        file.write_value(key_of(number), number, 0.0)
    assert [file.read_value(key_of(number))[0] for number in (0, 1_999)] == [0.0, 1_999.0]
    kept = stored(path)
    assert 100 < len(kept) < 2_000
    assert path.stat().st_size == SIZE
    assert [record.message.split(" has no room")[0] for record in caplog.records] == [str(tmp_path)]
    file.close()


def test_a_process_that_starts_without_room_keeps_all_in_memory(tmp_path: Path, disk: dict[str, int]) -> None:
    path = tmp_path / "counter_1.db"
    disk["room"] = 100
    file = AllocatedValues(str(path))
    for number in range(2_000):
        file.write_value(key_of(number), number, 0.0)
    assert file.read_value(key_of(1_999)) == (1_999.0, 0.0)
    assert not path.exists()
