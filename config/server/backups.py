"""Backups that can be trusted: each is read whole before it counts, and restored only if it is unchanged.

A logical backup is one file of pg_dump and a description beside it: its digest, the version and the
migrations that made it, and how many rows each table had in the very snapshot that was dumped. A physical one
is a folder of pg_basebackup with its own manifest.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import psycopg
from django.db.migrations.loader import MigrationLoader
from psycopg import sql

from config.command_line import VERSION
from config.server.postgres.base import Parameters
from config.server.postgres.programs import conninfo, program, run
from core.json_types import JsonObject
from core.timestamps import format_time

PREFIX = "segments-"
CHUNK = 1024 * 1024
TABLES = """
SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1
"""
RECOVERY = """
# Written by `manage.py restore`
restore_command = 'cp "{wal}/%f" "%p"'
recovery_target_action = 'promote'
{target}"""

Progress = Callable[[str], object]


def silent(text: str) -> None:
    """Tell nobody how far a backup is."""


class BackupRefused(Exception):
    """The backup cannot be made, is broken, or cannot be restored there. The message says why."""


@dataclass(frozen=True, slots=True)
class Description:
    """What is known of a logical backup."""

    made_at: str
    version: str
    server: int
    database: str
    size: int
    sha256: str
    migrations: list[str]
    rows: dict[str, int]


def description_of(archive: Path) -> Path:
    return archive.with_suffix(".json")


def digest_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def connect(parameters: Parameters, **changed: str) -> psycopg.Connection:
    kept = {name: value for name, value in parameters.items() if name not in ("cursor_factory", "context")}
    return psycopg.connect(**{**kept, **changed})


def count_rows(connection: psycopg.Connection) -> dict[str, int]:
    names = [name for (name,) in connection.execute(TABLES)]
    return {
        name: connection.execute(f"SELECT count(*) FROM {name}".encode()).fetchall()[0][0] for name in names
    }


def make_backup(parameters: Parameters, folder: Path, *, at: datetime, tell: Progress) -> Path:
    """Dump the database into the folder, read the file back, and return its path.

    The file has its name only when it is whole, and on the disk. Raises BackupRefused and ProgramFailed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / f"{PREFIX}{at:%Y%m%dT%H%M%SZ}.dump"
    if archive.exists():
        raise BackupRefused(f"{archive} exists already.")
    unfinished = archive.with_suffix(".unfinished")
    with connect(parameters) as connection:
        major = connection.info.server_version // 10_000
        words = [program("pg_dump", major), "--dbname", conninfo(parameters), "--format=custom"]
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        [[snapshot]] = connection.execute("SELECT pg_export_snapshot()").fetchall()
        tell("Dumping ...")
        try:
            run(
                [*words, "--no-owner", "--no-privileges", f"--snapshot={snapshot}", "--file", unfinished],
                parameters,
            )
            tell("Counting the rows of the same snapshot ...")
            rows = count_rows(connection)
            migrations = applied_migrations(connection)
            tell("Reading the file back ...")
            read_whole(unfinished, major)
            with unfinished.open("rb") as file:
                os.fsync(file.fileno())
            description = Description(
                made_at=format_time(at),
                version=VERSION,
                server=major,
                database=connection.info.dbname,
                size=unfinished.stat().st_size,
                sha256=digest_of(unfinished),
                migrations=migrations,
                rows=rows,
            )
            description_of(archive).write_text(json.dumps(asdict(description), indent=1) + "\n")
            unfinished.rename(archive)
        finally:
            unfinished.unlink(missing_ok=True)
    return archive


def applied_migrations(connection: psycopg.Connection) -> list[str]:
    rows = connection.execute("SELECT app || '.' || name FROM django_migrations ORDER BY 1").fetchall()
    return [name for (name,) in rows]


def read_whole(archive: Path, major: int) -> None:
    """Have pg_restore unpack all of the file and write nothing; raise ProgramFailed if it cannot."""
    run([program("pg_restore", major), "--file", os.devnull, archive], {})


def checked(archive: Path) -> Description:
    """Return the description of a backup that is whole; raise BackupRefused for any other file."""
    beside = description_of(archive)
    if not archive.is_file():
        raise BackupRefused(f"There is no file {archive}.")
    if not beside.is_file():
        raise BackupRefused(f"{beside} is missing, so nothing says whether {archive.name} is whole.")
    try:
        description = Description(**json.loads(beside.read_text()))
    except (ValueError, TypeError) as fault:
        raise BackupRefused(f"{beside} is not a description of a backup: {fault}") from fault
    size = archive.stat().st_size
    if size != description.size:
        raise BackupRefused(f"{archive} is broken: it has {size:,} bytes, and had {description.size:,}.")
    if digest_of(archive) != description.sha256:
        raise BackupRefused(f"{archive} is broken: its content has changed since it was made.")
    return description


def check_version(description: Description) -> None:
    """Raise BackupRefused for a backup of a newer version than this one: its tables are not known here."""
    known = MigrationLoader(None).disk_migrations
    names = {f"{app}.{name}" for app, name in known}
    apps = {app for app, _ in known}
    unknown = [
        name for name in description.migrations if name not in names and name.partition(".")[0] in apps
    ]
    if unknown:
        raise BackupRefused(
            f"The backup was made by version {description.version}, which has migrations that this one"
            f" ({VERSION}) does not know ({unknown[0]}). Restore it with that version or a later one."
        )


def restore_backup(parameters: Parameters, archive: Path, *, into: str, tell: Progress) -> Description:
    """Restore the backup into the database `into` of the same server, which is made, or has to be empty.

    Nothing is written before the file has been found whole and known. Afterwards the rows of each table are
    counted: they are as many as there were. Raises BackupRefused and ProgramFailed.
    """
    tell("Checking the file ...")
    description = checked(archive)
    check_version(description)
    with connect(parameters, dbname="postgres") as server:
        server.autocommit = True
        major = server.info.server_version // 10_000
        restorer = program("pg_restore", major)
        read_whole(archive, major)
        found = server.execute("SELECT FROM pg_database WHERE datname = %s", [into]).fetchall()
        if not found:
            tell(f"Creating the database {into} ...")
            server.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(into)))
    with connect(parameters, dbname=into) as target:
        if tables := target.execute(TABLES).fetchall():
            raise BackupRefused(
                f"The database {into} has {len(tables)} tables already. Restore into a new name, then let"
                " DATABASE_URL name that."
            )
    tell("Restoring ...")
    run(
        [
            *(restorer, "--dbname", conninfo(parameters, dbname=into), "--exit-on-error"),
            *("--single-transaction", "--no-owner", "--no-privileges", archive),
        ],
        parameters,
    )
    tell("Counting rows ...")
    with connect(parameters, dbname=into) as target:
        target.execute("ANALYZE")
        rows = count_rows(target)
    different = [name for name in description.rows if rows.get(name) != description.rows[name]]
    if different:
        raise BackupRefused(
            f"The restored database differs from the backup in {', '.join(different[:5])}; do not use it."
        )
    return description


def remove_old(folder: Path, *, keep: int) -> list[Path]:
    """Remove all logical backups but the newest ones, and return what was removed."""
    archives = sorted(folder.glob(f"{PREFIX}*.dump"))
    old = archives[:-keep] if keep else []
    for archive in old:
        archive.unlink()
        description_of(archive).unlink(missing_ok=True)
    return old


def make_physical_backup(parameters: Parameters, folder: Path, *, at: datetime, tell: Progress) -> Path:
    """Copy the whole server by pg_basebackup and verify the copy; return its folder.

    The role needs the right of replication. Together with archived WAL the copy leads to any moment after it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / f"base-{at:%Y%m%dT%H%M%SZ}"
    with connect(parameters) as connection:
        major = connection.info.server_version // 10_000
    tell("Copying the server ...")
    run(
        [
            *(program("pg_basebackup", major), "--dbname", conninfo(parameters), "--pgdata", copy),
            *("--wal-method=stream", "--checkpoint=fast", "--manifest-checksums=SHA256", "--no-password"),
        ],
        parameters,
    )
    tell("Verifying the copy ...")
    verify_physical(copy)
    return copy


def verify_physical(copy: Path) -> None:
    """Raise BackupRefused unless each file of the copy is as the server sent it: what pg_verifybackup does.

    Not every installation of PostgreSQL has that program.
    """
    manifest = copy / "backup_manifest"
    if not manifest.is_file():
        raise BackupRefused(f"{copy} is no copy of pg_basebackup: backup_manifest is missing.")
    text = manifest.read_bytes()
    try:
        described = json.loads(text)
        files = {path_of(entry): entry for entry in described["Files"]}
        own = described["Manifest-Checksum"]
    except (ValueError, KeyError, TypeError) as fault:
        raise BackupRefused(f"{manifest} is broken: {fault}") from fault
    if hashlib.sha256(text[: text.rindex(b'"Manifest-Checksum"')]).hexdigest() != own:
        raise BackupRefused(f"{manifest} is broken: it has changed since it was made.")
    for name, entry in files.items():
        file = copy / name
        if not file.is_file():
            raise BackupRefused(f"{copy} is broken: {name} is missing.")
        if file.stat().st_size != entry["Size"] or digest_of(file) != entry["Checksum"].lower():
            raise BackupRefused(f"{copy} is broken: {name} has changed since it was made.")
    if not any((copy / "pg_wal").glob("0*")):
        raise BackupRefused(f"{copy} is broken: pg_wal is empty.")


def path_of(entry: JsonObject) -> str:
    encoded = entry.get("Encoded-Path")
    return entry["Path"] if encoded is None else os.fsdecode(bytes.fromhex(encoded))


def restore_physical(copy: Path, data: Path, *, wal: Path | None, until: datetime | None) -> None:
    """Lay the verified copy into an empty data folder, so that a server started there recovers.

    With `wal`, the folder of the archived WAL, it recovers to its end, or to `until`; then it accepts writes.
    """
    if until is not None and wal is None:
        raise BackupRefused("--until needs --wal, the folder of the archived WAL.")
    if data.exists() and any(data.iterdir()):
        raise BackupRefused(f"{data} is not empty. Move it away, or name another folder.")
    verify_physical(copy)
    shutil.copytree(copy, data, dirs_exist_ok=True)
    data.chmod(0o700)
    if wal is not None:
        target = f"recovery_target_time = '{until.isoformat()}'\n" if until else ""
        with (data / "postgresql.auto.conf").open("a") as settings:
            settings.write(RECOVERY.format(wal=wal.absolute(), target=target))
        (data / "recovery.signal").touch()
