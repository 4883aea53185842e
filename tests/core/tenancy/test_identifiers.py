import threading
import time
import uuid

import pytest

from core.errors import InvalidInput
from core.tenancy import identifiers
from core.tenancy.identifiers import check_client_id, generate_id


def milliseconds_of(identifier: str) -> int:
    return int(identifier.replace("-", "")[:12], 16)


def test_a_generated_id_is_a_lower_case_version_7_uuid_of_this_millisecond():
    before = time.time_ns() // 1_000_000
    identifier = generate_id()
    after = time.time_ns() // 1_000_000

    parsed = uuid.UUID(identifier)
    assert str(parsed) == identifier
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert before <= milliseconds_of(identifier) <= after


def test_generated_ids_sort_in_the_order_of_their_making():
    made = [generate_id() for _ in range(5_000)]

    assert made == sorted(set(made))


def test_ids_keep_growing_when_the_clock_is_set_back(monkeypatch):
    sequence = identifiers._Sequence()
    first = sequence.next()
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    second = sequence.next()

    assert second > first
    assert uuid.UUID(int=second).version == 7


def test_a_full_millisecond_carries_into_the_next_one(monkeypatch):
    sequence = identifiers._Sequence()
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    sequence._last = (5 << 74) | ((1 << 74) - 1)

    following = uuid.UUID(int=sequence.next())

    assert following.int >> 80 == 6
    assert (following.version, following.variant) == (7, uuid.RFC_4122)


def test_threads_never_share_an_id():
    made: list[list[str]] = [[] for _ in range(4)]
    threads = [
        threading.Thread(target=lambda own=own: own.extend(generate_id() for _ in range(2_000)))
        for own in made
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({identifier for own in made for identifier in own}) == 8_000
    assert all(own == sorted(own) for own in made)


@pytest.mark.parametrize("value", ["a", "A-1_b.c:d~e@f", "0", "x" * 128])
def test_an_id_of_the_allowed_characters_is_kept(value):
    assert check_client_id(value, field="id") == value


def test_a_generated_id_is_one_that_clients_may_give():
    assert check_client_id(identifier := generate_id(), field="id") == identifier


@pytest.mark.parametrize("value", ["", "x" * 129, "a b", "a/b", "a\n", "ä", "٣", "a\x00", "a,b", 'a"b'])
def test_any_other_id_is_refused(value):
    with pytest.raises(InvalidInput) as refused:
        check_client_id(value, field="id")

    assert refused.value.field == "id"
    assert refused.value.message.startswith(
        "id must be 1 to 128 characters out of letters, digits and . _ - : ~ @"
    )


@pytest.mark.parametrize(
    ("value", "message"),
    [(None, "id is missing."), (5, "id must be a text."), (True, "id must be a text.")],
)
def test_an_id_that_is_no_text_is_refused_as_such(value, message):
    with pytest.raises(InvalidInput) as refused:
        check_client_id(value, field="id")
    assert refused.value.message == message
