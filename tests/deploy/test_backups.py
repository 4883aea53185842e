"""Backups are restored and compared, broken ones refused, a server is taken to a moment before a mistake."""

import json
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection

from config.server import backups
from config.server.backups import description_of, make_physical_backup, restore_physical
from config.server.embedded_postgres.server import DATABASE, USER, EmbeddedServer
from config.server.embedded_postgres.tuning import PORT
from core.json_types import JsonObject
from segments.models import CustomerAssignment
from tests.conftest import Clock
from tests.factories.segments import CustomerAssignmentFactory
from tests.waiting import wait_until

Sessions = JsonObject


def run(*words: object) -> str:
    out = StringIO()
    call_command(*map(str, words), stdout=out)
    return out.getvalue()


@pytest.fixture
def new_database(transactional_db: None) -> Iterator[str]:
    """The name of a database that does not exist yet."""
    name = f"{connection.settings_dict['NAME']}_restored"
    yield name
    with backups.connect(connection.get_connection_params(), dbname="postgres") as session:
        session.autocommit = True
        session.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())


@pytest.fixture
def archive(tmp_path: Path, new_database: str) -> Path:
    CustomerAssignmentFactory.create_batch(3)
    return Path(run("backup", tmp_path / "backups").strip())


def test_a_backup_is_restored_with_all_rows(archive: Path, new_database: str) -> None:
    CustomerAssignment.objects.all().delete()  # after the backup
    assert "rows of 2026-03-04T09:30:15.250Z into" in run("restore", archive, "--into", new_database)
    with backups.connect(connection.get_connection_params(), dbname=new_database) as restored:
        assert restored.execute("SELECT count(*) FROM segments_customerassignment").fetchall() == [(3,)]
        triggers = "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal"
        with connection.cursor() as cursor:
            cursor.execute(triggers)
            assert restored.execute(triggers.encode()).fetchall() == cursor.fetchall()
    with pytest.raises(CommandError, match=f"{new_database} has [0-9]+ tables already"):
        run("restore", archive, "--into", new_database)


def cut(archive: Path) -> None:
    os.truncate(archive, archive.stat().st_size - 100)


def flip(archive: Path) -> None:
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 0xFF
    archive.write_bytes(content)


def lose_description(archive: Path) -> None:
    description_of(archive).unlink()


def spoil_description(archive: Path) -> None:
    description_of(archive).write_text("{}")


def come_from_the_future(archive: Path) -> None:
    description = json.loads(description_of(archive).read_text())
    description["migrations"].append("segments.9999_later")
    description_of(archive).write_text(json.dumps(description))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (cut, "is broken: it has"),
        (flip, "its content has changed"),
        (lose_description, "is missing, so nothing says"),
        (spoil_description, "is not a description"),
        (come_from_the_future, "segments.9999_later"),
        (Path.unlink, "There is no file"),
    ],
)
def test_a_broken_backup_is_refused_before_anything_is_written(
    archive: Path, new_database: str, spoil: Any, reason: str
) -> None:
    spoil(archive)
    with pytest.raises(CommandError, match=reason):
        run("restore", archive, "--into", new_database)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_database WHERE datname = %s", [new_database])
        assert cursor.fetchone() == (0,)


def test_a_dump_that_cannot_be_read_back_leaves_no_backup(
    tmp_path: Path, transactional_db: None, monkeypatch
) -> None:
    def truncate(words: list[object], parameters: object) -> str:
        done = original(words, parameters)
        if "--format=custom" in words:
            cut(words[-1])
        return done

    original = backups.run
    monkeypatch.setattr(backups, "run", truncate)
    with pytest.raises(CommandError, match="There is no new backup. pg_restore failed"):
        run("backup", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_old_backups_are_removed(tmp_path: Path, transactional_db: None, clock: type[Clock]) -> None:
    for day in range(1, 4):
        (tmp_path / f"segments-2026010{day}T000000Z.dump").touch()
        (tmp_path / f"segments-2026010{day}T000000Z.json").touch()
    (tmp_path / "mine.dump").touch()
    said = run("backup", tmp_path, "--keep", 2)
    assert said.splitlines()[1:] == [
        "Removed segments-20260101T000000Z.dump.",
        "Removed segments-20260102T000000Z.dump.",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "mine.dump",
        "segments-20260103T000000Z.dump",
        "segments-20260103T000000Z.json",
        "segments-20260304T093015Z.dump",
        "segments-20260304T093015Z.json",
    ]


def test_words_that_are_missing_are_named(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="Say --into"):
        run("restore", archive)
    with pytest.raises(CommandError, match="Say --data"):
        run("restore", tmp_path)


# --- a copy of the server, and archived WAL


def session_of(server: EmbeddedServer) -> psycopg.Connection:
    sockets = server.ensure_running()
    return psycopg.connect(host=str(sockets), port=PORT, user=USER, dbname=DATABASE, autocommit=True)


def parameters_of(server: EmbeddedServer) -> JsonObject:
    return {"host": str(server.ensure_running()), "port": PORT, "user": USER, "dbname": DATABASE}


def give_to_postgres(folder: Path, server: EmbeddedServer) -> None:
    """Let the user that runs PostgreSQL own the folder, as the docs say."""
    assert server.places is not None
    if (account := server.places.account) is not None:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, account.uid, account.gid)


@pytest.fixture
def servers(folder: Path, refuge: None) -> Iterator[Any]:
    started: list[EmbeddedServer] = []

    def make(name: str) -> EmbeddedServer:
        server = EmbeddedServer(data=folder / name / "pg", profile="production")
        started.append(server)
        return server

    yield make
    for server in started:
        server.stop()
        if server.places:
            shutil.rmtree(server.places.sockets)


def test_a_server_is_taken_to_the_moment_before_a_mistake(servers: Any, folder: Path) -> None:
    first = servers("first")
    with session_of(first) as session:
        wal = folder / "wal"
        wal.mkdir()
        give_to_postgres(wal, first)
        session.execute("ALTER SYSTEM SET archive_mode = 'on'")
        session.execute(f"ALTER SYSTEM SET archive_command = 'test ! -f {wal}/%f && cp %p {wal}/%f'".encode())
        session.execute("CREATE TABLE kept (id int)")
    first.stop()
    copy = make_physical_backup(
        parameters_of(first), folder / "base", at=datetime(2026, 3, 4, tzinfo=UTC), tell=lambda text: None
    )
    with session_of(first) as session:
        session.execute("INSERT INTO kept SELECT generate_series(1, 100)")
        [[before]] = session.execute("SELECT clock_timestamp()").fetchall()
        session.execute("DELETE FROM kept")
        session.execute("INSERT INTO kept VALUES (0)")
        session.execute("SELECT pg_switch_wal()")
        [[archived]] = session.execute("SELECT pg_walfile_name(pg_current_wal_lsn())").fetchall()
        wait_until(lambda: len(list(wal.glob("0*"))) >= 2)
    first.stop()

    second = servers("second")
    restore_physical(copy, second.wanted, wal=wal, until=before)
    give_to_postgres(second.wanted, first)
    with session_of(second) as session:
        wait_until(lambda: session.execute("SELECT pg_is_in_recovery()").fetchall() == [(False,)])
        assert session.execute("SELECT count(*), min(id) FROM kept").fetchall() == [(100, 1)]
        session.execute("INSERT INTO kept VALUES (101)")  # it accepts writes
    assert archived

    broken = copy / "base" / "1" / "1259"
    broken.write_bytes(broken.read_bytes()[:-1] + b"x")
    with pytest.raises(backups.BackupRefused, match="is broken"):
        restore_physical(copy, folder / "third", wal=None, until=None)
    assert not (folder / "third").exists()
    with pytest.raises(backups.BackupRefused, match="is not empty"):
        restore_physical(copy, second.wanted, wal=None, until=None)
    with pytest.raises(backups.BackupRefused, match="needs --wal"):
        restore_physical(copy, folder / "third", wal=None, until=before)
    with pytest.raises(backups.BackupRefused, match="no copy of pg_basebackup"):
        restore_physical(folder, folder / "third", wal=None, until=None)
