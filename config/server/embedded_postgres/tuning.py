"""The embedded server's configuration file."""

import os
from pathlib import Path

# PostgreSQL's own port number; with only a Unix socket it is no more than the socket's name.
PORT = 5432

COMMON = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "max_connections": "200",
    "effective_cache_size": "1GB",
    "maintenance_work_mem": "256MB",
    "work_mem": "16MB",
    "random_page_cost": "1.1",
    "jit": "off",
    "wal_compression": "pglz",
    "idle_in_transaction_session_timeout": "60s",
    "log_checkpoints": "off",
}
PROFILES = {
    "production": {"shared_buffers": "256MB", "max_wal_size": "4GB"},
    # What tests commit may be lost when a process is killed or the power fails.
    "test": {
        "shared_buffers": "128MB",
        "max_wal_size": "1GB",
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
    },
}
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 -- POSIX shared memory lives there on Linux
SHARED_MEMORY_NEEDED = 256 * 1024 * 1024  # bytes


def configuration(*, profile: str, sockets: Path) -> str:
    """Return the text of postgresql.conf for this profile, listening only in the folder `sockets`."""
    values = COMMON | PROFILES[profile] | {"unix_socket_directories": str(sockets)}
    if not _shared_memory_suffices():
        # containers often have 64 MB, and parallel queries would fail
        values["dynamic_shared_memory_type"] = "mmap"
    lines = [f"{name} = '{_quoted(value)}'\n" for name, value in values.items()]
    return "# Written at every start; changes are lost.\n" + "".join(lines)


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "''")


def _shared_memory_suffices() -> bool:
    if not SHARED_MEMORY.is_dir():
        return True  # not Linux: nothing is limited there
    usage = os.statvfs(SHARED_MEMORY)
    return usage.f_bavail * usage.f_frsize >= SHARED_MEMORY_NEEDED
