import os
import subprocess
import sys
import tomllib
from io import StringIO
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import find_commands, get_commands, load_command_class
from django.db import InternalError, OperationalError, ProgrammingError, connection, connections
from psycopg import errors as postgres

from config.command_line import VERSION, CommandLine, missing_module

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def nobody_acts(monkeypatch):
    """A command that runs in this process acts for the process; the tests after it are none of its work."""
    monkeypatch.setattr("core.actors._process_actor", [])


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


# --- a database that fails, in every command of the project


PROJECT_COMMANDS = sorted(
    name
    for app in apps.get_app_configs()
    if Path(app.path).parent.is_relative_to(ROOT) and ".venv" not in app.path
    for name in find_commands(str(Path(app.path) / "management"))
)
NEED_NO_DATABASE = {"pg", "stop", "import_tenant"}  # the last one first reads its archive
OF_THEIR_OWN = {
    "serve",
    "work",
    "migrate",
    "reset_database",
    "backup",
    "restore",
}  # which have to live with any state of the database
FAILURES = [
    (OperationalError, postgres.LockNotAvailable, "did not let go of it in time"),
    (OperationalError, postgres.AdminShutdown, "The database server cannot be reached"),
    (OperationalError, postgres.DiskFull, "The disk of the database is full"),
    (InternalError, postgres.ReadOnlySqlTransaction, "The database accepts no changes"),
]


NEEDED_TOGETHER = {"preview_rule": ("onHold:false", "--tenant", "acme")}
"""Arguments that a command's parser takes for optional, and the command needs."""


def words_for(name: str, file: Path) -> list[str]:
    """Return arguments that the command's parser takes."""
    command = load_command_class(get_commands()[name], name)
    parser = command.create_parser("manage.py", name)
    words = list(NEEDED_TOGETHER.get(name, ()))
    for action in parser._actions:
        if (action.option_strings and not action.required) or action.nargs in {"*", "?"}:
            continue
        if action.dest == "file":
            value = str(file)
        else:
            example = "400d" if action.dest == "older_than" else "acme"
            value = "1" if action.type is int else str(next(iter(action.choices or [example])))
        words += [action.option_strings[0], value] if action.option_strings else [value]
    return words


def test_the_commands_of_the_project_are_found():
    assert len(PROJECT_COMMANDS) > 30
    assert {"create_tenant", "upsert_segments", "purge_sessions", "serve"} <= set(PROJECT_COMMANDS)


@pytest.mark.django_db
@pytest.mark.parametrize(("kind", "cause", "said"), FAILURES)
@pytest.mark.parametrize("name", [*sorted(set(PROJECT_COMMANDS) - NEED_NO_DATABASE - OF_THEIR_OWN)])
def test_a_database_that_fails_is_one_sentence_and_an_exit_code(
    name, kind, cause, said, tmp_path, monkeypatch, capsys, settings
):
    def fail(*arguments):
        raise kind("what PostgreSQL said") from cause()

    settings.DEBUG = True  # or load_demo_data refuses before it asks the database
    monkeypatch.setattr(connections, "close_all", lambda: None)  # the test's transaction goes on
    monkeypatch.setattr("getpass.getpass", lambda *_: "correct horse battery")
    monkeypatch.setattr("sys.stdin", StringIO("correct horse battery\n"))
    file = tmp_path / "rows.jsonl"
    file.write_text('{"id": "A"}\n')
    line = CommandLine(["manage.py", name, *words_for(name, file)])

    with connection.execute_wrapper(fail), pytest.raises(SystemExit) as ended:
        line.execute()

    # what sys.exit is given as a text goes to standard error, with exit status 1
    text = ended.value.code if isinstance(ended.value.code, str) else capsys.readouterr().err
    assert ended.value.code not in {None, 0}
    assert said in text
    assert "Traceback" not in text


@pytest.mark.django_db
def test_a_traceback_is_shown_to_those_who_ask(monkeypatch):
    def fail(*arguments):
        raise OperationalError("gone") from postgres.AdminShutdown()

    monkeypatch.setattr(connections, "close_all", lambda: None)
    with connection.execute_wrapper(fail), pytest.raises(OperationalError, match="gone"):
        CommandLine(["manage.py", "purge_sessions", "--traceback"]).execute()


@pytest.mark.django_db
def test_an_error_of_the_program_is_none_of_the_database(monkeypatch):
    def fail(*arguments):
        raise ProgrammingError("no such column") from postgres.UndefinedColumn()

    monkeypatch.setattr(connections, "close_all", lambda: None)
    with connection.execute_wrapper(fail), pytest.raises(ProgrammingError):
        CommandLine(["manage.py", "purge_sessions"]).execute()


def run(*words: str, **environment: str) -> tuple[int, str]:
    """Run manage.py and return its exit status and what it wrote to standard error."""
    done = subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=ROOT,
        env={**os.environ, "DEBUG": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("module", ["nowhere", "nowhere.settings", "config.nowhere"])
def test_a_missing_settings_module_is_said_in_one_line(module):
    message = f"There is no settings module {module}."
    for status, error in (
        run("check", DJANGO_SETTINGS_MODULE=module),
        run("upsert_customers", "rows.csv", "--tenant", "acme", f"--settings={module}"),
    ):
        assert (status, error.startswith(message), error.count("\n")) == (1, True, 1)


def test_a_missing_package_is_said_and_a_missing_module_of_the_project_is_a_bug():
    said = missing_module(ModuleNotFoundError(name="zstandard.backend"), "config.settings")
    assert said.startswith("The package zstandard is not installed for this Python")
    assert missing_module(ModuleNotFoundError(name="core.nowhere"), "config.settings") == ""


def test_a_python_without_django_says_so_in_one_line():
    done = subprocess.run(
        [sys.executable, "-S", "manage.py", "check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("Django is not installed for this Python")


def test_every_page_with_commands_says_how_they_are_run():
    pages = [page for page in (ROOT / "docs").glob("*.md") if page.name != "commands.md"]
    with_commands = [page for page in pages if "manage.py" in page.read_text()]
    assert len(with_commands) >= 10
    assert [page.name for page in with_commands if "(commands.md)" not in page.read_text()] == []
