"""What the operating system knows about processes: who lives, and as what."""

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True)
class Account:
    """The operating system's user that runs the server, when it is not the present one."""

    uid: int
    gid: int
    name: str


def run_as(
    account: Account | None, command: Sequence[str], *, text: str = "", keep_open: Sequence[int] = ()
) -> subprocess.CompletedProcess[str]:
    """Run the command as the account (None: as ourselves) with a clean environment, and wait for its end.

    The working directory is `/`, since the account may be unable to enter ours.
    """
    switch = {} if account is None else {"user": account.uid, "group": account.gid, "extra_groups": ()}
    return subprocess.run(  # noqa: S603 -- every caller passes a list of its own words
        command,
        input=text,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        cwd="/",
        env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
        start_new_session=True,  # Ctrl-C in the terminal must not reach the database
        pass_fds=tuple(keep_open),
        check=False,
        **switch,  # type: ignore[call-overload]
    )


def command_of(pid: int) -> list[str]:
    """Return the words of a living process's command line; none for a dead process or a zombie."""
    try:
        if PROC.is_dir():
            words = (PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
            return [os.fsdecode(word) for word in words if word]
        listed = subprocess.run(  # noqa: S603
            ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        return listed.stdout.split(" ") if listed.returncode == 0 else []
    except (FileNotFoundError, ProcessLookupError):
        return []


def is_postmaster_of(pid: int, data: Path) -> bool:
    """Say whether this living process is the PostgreSQL server of the data folder, and not some other's.

    A process id that was written down proves nothing: after a reboot or in a new container it may
    belong to anybody.
    """
    words = command_of(pid)
    return bool(words) and Path(words[0]).name == "postgres" and " ".join(words).endswith(f" -D {data}")


def orphans_of(data: Path) -> Iterator[int]:
    """Yield the server processes that still work on the data folder although their postmaster was killed.

    Linux only; elsewhere nothing is yielded and they end when their present statement does.
    """
    if not PROC.is_dir():
        return
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        words = command_of(int(entry.name))
        if not words or not words[0].startswith("postgres:"):
            continue
        try:
            if (entry / "cwd").readlink() == data:
                yield int(entry.name)
        except (PermissionError, FileNotFoundError, ProcessLookupError):
            continue  # another user's process, or one that has just ended


def send(pid: int, number: signal.Signals) -> None:
    """Send the signal; a process that has already ended is fine."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
