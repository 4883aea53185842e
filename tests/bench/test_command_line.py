"""A run of the benchmark leaves files under version control as they are, unless asked to save."""

import pytest

from bench.imports import comparing


@pytest.fixture
def results_file(monkeypatch, tmp_path):
    file = tmp_path / "results.json"
    measured = {"psql": 10.0, "import": 12.0, "again": 3.0, "megabytes": 100}
    monkeypatch.setattr(comparing, "FILE", file)
    monkeypatch.setattr(comparing, "measure", lambda: measured)
    return file


def test_a_run_writes_no_file(results_file):
    assert comparing.main(save=False) == 0
    assert not results_file.exists()


def test_a_run_writes_the_results_when_asked(results_file):
    assert comparing.main(save=True) == 0
    assert '"import / psql": 1.2' in results_file.read_text()
