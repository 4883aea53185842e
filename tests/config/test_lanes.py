import threading
from collections import Counter
from time import monotonic

import pytest

from config.server import lanes
from config.server.lanes import GranianThreads, Job, Lane, WriteLane, resources_of

PATIENCE = 60


class Work:
    """Jobs that are held until they may end."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.refused: list[str] = []
        self.gates: dict[str, threading.Event] = {}
        self.changed = threading.Condition()

    def job(self, name: str, *resources: str, held: bool = True, due: float | None = None) -> Job:
        gate = self.gates[name] = threading.Event()
        if not held:
            gate.set()
        return Job({"name": name}, None, 0, monotonic() + PATIENCE if due is None else due, resources)

    def do(self, job: Job) -> None:
        with self.changed:
            self.begun.append(job.environ["name"])
            self.changed.notify_all()
        assert self.gates[job.environ["name"]].wait(PATIENCE)

    def refuse(self, job: Job) -> None:
        with self.changed:
            self.refused.append(job.environ["name"])
            self.changed.notify_all()

    def wait_for(self, *begun: str) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: Counter(self.begun) >= Counter(begun), PATIENCE)


@pytest.fixture
def work():
    work = Work()
    yield work
    for gate in work.gates.values():
        gate.set()


def lane_of(work: Work, kind=Lane, *, threads=2, most=4, waiting=10, granian=2) -> Lane:
    return kind(
        "test",
        work.do,
        work.refuse,
        granian=GranianThreads(granian),
        threads=threads,
        most_threads=most,
        waiting=waiting,
    )


def bring(lane: Lane, job: Job) -> threading.Thread:
    """Bring the job on a thread of its own, as granian does."""
    thread = threading.Thread(target=lane.take, args=[job], daemon=True)
    thread.start()
    return thread


def test_the_thread_that_brings_a_job_does_it_and_then_those_that_wait(work):
    lane = lane_of(work, threads=1)
    bringing = bring(lane, work.job("a"))
    work.wait_for("a")
    assert lane.take(work.job("b", held=False))
    assert work.begun == ["a"]

    work.gates["a"].set()
    bringing.join(PATIENCE)

    assert work.begun == ["a", "b"]
    assert lane.is_idle
    assert lane.granian.free == 2


def test_without_a_free_thread_of_granian_a_helper_does_the_job(work):
    lane = lane_of(work, granian=0)
    assert lane.take(work.job("a"))
    work.wait_for("a")
    assert not lane.is_idle


def test_a_full_queue_refuses(work):
    lane = lane_of(work, threads=1, waiting=1)
    bring(lane, work.job("a"))
    work.wait_for("a")

    assert lane.take(work.job("b"))
    assert not lane.take(work.job("c"))


def test_slow_jobs_leave_their_slots_to_helpers_up_to_a_bound(work, monkeypatch):
    monkeypatch.setattr(lanes, "SLOW_AFTER", -1)
    lane = lane_of(work, threads=2, most=4)
    for name in "ab":
        bring(lane, work.job(name))
    work.wait_for("a", "b")
    for name in "cde":
        assert lane.take(work.job(name))

    for name in "cd":
        assert lane.look_after()
        work.wait_for("a", "b", *"cd"[: "cd".index(name) + 1])
    lane.look_after()

    assert len(lane.at_work) == 4
    assert [job.environ["name"] for job in lane.queue] == ["e"]


def test_a_lane_without_free_threads_refuses_what_is_overdue_and_says_that_it_hangs(work, monkeypatch):
    monkeypatch.setattr(lanes, "STALLED_AFTER", -1)
    lane = lane_of(work, threads=1, most=1)
    bring(lane, work.job("a"))
    work.wait_for("a")
    lane.take(work.job("late", due=monotonic() - 1))
    lane.take(work.job("b"))

    assert lane.look_after()
    assert work.refused == ["late"]
    assert [job.environ["name"] for job in lane.queue] == ["b"]

    monkeypatch.setattr(lanes, "HUNG_AFTER", -1)
    assert not lane.look_after()


def test_a_job_whose_time_is_over_when_its_turn_comes_is_refused(work):
    lane = lane_of(work, threads=1)
    bringing = bring(lane, work.job("a"))
    work.wait_for("a")
    lane.take(work.job("late", due=monotonic() - 1))
    work.gates["a"].set()
    bringing.join(PATIENCE)

    assert (work.begun, work.refused) == (["a"], ["late"])


def test_writes_of_one_resource_never_hold_all_threads(work, monkeypatch):
    monkeypatch.setattr(lanes, "SLOW_AFTER", -1)
    lane = lane_of(work, WriteLane, threads=3, most=8, granian=3)
    for number in range(3):
        bring(lane, work.job(f"hot{number}", "A", "coupons"))
    work.wait_for("hot0", "hot1", "hot2")
    for number in range(3, 7):
        lane.take(work.job(f"hot{number}", "A", "coupons"))
    lane.look_after()
    work.wait_for("hot0", "hot1", "hot2", "hot3")

    lane.take(work.job("other", "B", "coupons", held=False))
    lane.look_after()
    work.wait_for("other")

    assert len(work.begun) == 5
    assert [job.environ["name"] for job in lane.queue] == ["hot4", "hot5", "hot6"]
    work.gates["hot0"].set()
    work.wait_for("hot4")


def test_writes_of_one_collection_leave_two_threads(work, monkeypatch):
    monkeypatch.setattr(lanes, "SLOW_AFTER", -1)
    lane = lane_of(work, WriteLane, threads=2, most=4)
    for number in range(2):
        bring(lane, work.job(f"tree{number}", f"category{number}", "categories"))
    work.wait_for("tree0", "tree1")
    lane.take(work.job("tree2", "category2", "categories"))
    lane.take(work.job("coupon", "B", "coupons"))
    lane.look_after()
    work.wait_for("coupon")

    assert [job.environ["name"] for job in lane.queue] == ["tree2"]


@pytest.mark.parametrize(
    ("path", "resources"),
    [
        ("/coupon/acme/coupons/A/redemptions", ("/coupon/acme/coupons/A", "/coupon/acme/coupons")),
        ("/coupon/acme/coupons/A", ("/coupon/acme/coupons/A", "/coupon/acme/coupons")),
        ("/coupon/acme/coupons", ("/coupon/acme/coupons/", "/coupon/acme/coupons")),
        ("/admin/coupons/coupon/5/change/", ("/admin/coupons/coupon/5", "/admin/coupons/coupon")),
        ("/oauth/token", ("/oauth/token/", "/oauth/token")),
        ("/", ("//", "/")),
    ],
)
def test_a_write_names_its_resource_and_its_collection(path, resources):
    assert resources_of(path) == resources
