import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from config.command_line import VERSION

ROOT = Path(__file__).resolve().parents[2]


def test_the_version_is_the_one_of_the_project_file():
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == VERSION


@pytest.mark.parametrize("words", [["--version"], ["version"], ["migrate", "--version"]])
def test_the_command_line_says_the_version_of_the_product(words):
    done = subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=ROOT,
        env={**os.environ, "DEBUG": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{VERSION}\n"
