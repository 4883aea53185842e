"""The folder in which the processes of a server keep their metrics, for whichever of them is asked."""

import os
import shutil
from pathlib import Path

from config.server.embedded_postgres.processes import command_of

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # prometheus-client reads it when it is imported


def make_metrics_folder(var: Path) -> Path:
    """Make the folder of this server and name it to the processes that it starts.

    Folders of servers that are no more are removed: their counters begin again with 0, as Prometheus expects
    of a service that was restarted.
    """
    parent = var / "metrics"
    for former in parent.glob("*"):
        if not (former.name.isdigit() and command_of(int(former.name))) or former.name == str(os.getpid()):
            shutil.rmtree(former, ignore_errors=True)
    folder = parent / str(os.getpid())
    folder.mkdir(parents=True)
    os.environ[VARIABLE] = str(folder)
    return folder


def forget_ended_processes(folder: Path) -> None:
    """Remove what processes that have ended said of their present: slots, queues, memory."""
    for file in folder.glob("gauge_live*_*.db"):
        pid = file.stem.rpartition("_")[2]
        if pid.isdigit() and not command_of(int(pid)):
            file.unlink(missing_ok=True)
