"""How much of a web worker is in use, for the metrics."""

import os
from pathlib import Path

from config.server.front import Front
from core.observation.metrics import gauge

SLOTS = gauge("web_slots", "Requests that may be at work at a time, by lane.", ("lane",))
AT_WORK = gauge("web_at_work", "Requests at work, by lane; slow ones no longer hold a slot.", ("lane",))
QUEUED = gauge("web_queue", "Requests that wait for a slot, by lane.", ("lane",))
BODIES = gauge("web_receiving", "Requests whose body is still arriving.")
SENDING = gauge("web_sending", "Large responses that clients are still fetching.")
MEMORY = gauge("web_memory_bytes", "Memory (RSS) of the web workers.")

PAGE = os.sysconf("SC_PAGE_SIZE")
STATM = Path("/proc/self/statm")


def measure(front: Front) -> None:
    """Note how much of this worker is in use; called once a second."""
    for lane in (front.reads, front.writes, front.probes):
        SLOTS.labels(lane.name).set(lane.threads)
        AT_WORK.labels(lane.name).set(len(lane.at_work))
        QUEUED.labels(lane.name).set(len(lane.queue))
    BODIES.set(len(front.bodies.receiving))
    SENDING.set(len(front.transfers.sending))
    if STATM.exists():  # Linux
        MEMORY.set(int(STATM.read_text().split()[1]) * PAGE)
