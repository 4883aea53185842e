import pytest

from bench.load import Load
from bench.measuring import UnexpectedAnswer, warm_up


class Slow:
    """Answers after some seconds; remembers how long it was let run."""

    def __init__(self, answers_after):
        self.answers_after = answers_after
        self.runs = []

    def __call__(self, seconds):
        self.runs.append(seconds)
        return Load(int(seconds >= self.answers_after), seconds, 1.0, 1.0, 0)


def test_quick_answers_are_measured_as_long_as_is_asked_for():
    quick = Slow(0.1)

    assert warm_up(quick, 3.0) == 3.0
    assert quick.runs == [1.0]


def test_slow_answers_are_measured_longer():
    slow = Slow(2.5)

    assert warm_up(slow, 3.0) == 12.0
    assert slow.runs == [1.0, 2.0, 4.0]


def test_what_never_answers_is_given_up():
    with pytest.raises(UnexpectedAnswer, match="nothing was answered"):
        warm_up(Slow(1_000), 3.0)
