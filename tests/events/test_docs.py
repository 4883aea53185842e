"""The receiver in Python that docs/events.md shows verifies what is sent."""

from tests.events.receivers_of_docs import check, code_of


def test_the_receiver_in_python_takes_what_is_signed_and_refuses_the_rest(
    local_targets: None, real_time: None
) -> None:
    check("python")


def test_the_receivers_are_short() -> None:
    for language in ("python", "js"):
        assert len([line for line in code_of(language).splitlines() if line.strip()]) <= 15
