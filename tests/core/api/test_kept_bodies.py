"""What a worker keeps of finished bodies: within its bound, and compressed for whoever accepts that."""

import gzip

import pytest
import zstandard
from django.http import HttpResponse
from django.test import RequestFactory

from core.api.conditional import OVERHEAD, KeptBodies, accepted_coding, coded_tag, kept_bodies, kept_response

BODY = b'{"name":"Gold"}' * 200


def json_of(body: bytes = BODY) -> HttpResponse:
    return HttpResponse(body, content_type="application/json", headers={"X-Total-Count": "7"})


@pytest.fixture
def compared_bodies() -> None:
    """Nothing is made a second time to be compared here."""


def respond(
    *, parts: tuple[object, ...] = ("state",), body: bytes = BODY, made: list[int] | None = None, **headers
):
    def answer() -> HttpResponse:
        if made is not None:
            made.append(1)
        return json_of(body)

    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return kept_response(RequestFactory().get("/", headers=names), parts, answer)


def test_a_body_is_made_once_for_each_state():
    made: list[int] = []
    answers = [respond(made=made), respond(made=made), respond(parts=("other",), made=made)]

    assert len(made) == 2
    assert {answer.content for answer in answers} == {BODY}
    assert [answer["X-Total-Count"] for answer in answers] == ["7"] * 3
    assert answers[0].headers == answers[1].headers
    assert answers[0]["ETag"] != answers[2]["ETag"]


def test_the_least_recently_used_goes_first_when_the_bound_is_reached():
    kept = KeptBodies(4 * (OVERHEAD + 100))
    for name in "abcd":
        kept.keep(name, json_of(b"x" * 100))
    kept.get("a")
    kept.keep("e", json_of(b"x" * 100))

    assert [name for name in "abcde" if kept.get(name)] == ["a", "c", "d", "e"]
    assert kept.by_tag.currsize <= kept.limit


def test_a_body_larger_than_a_quarter_of_the_bound_is_not_kept():
    kept = KeptBodies(4 * (OVERHEAD + 100))
    kept.keep("a", json_of(b"x" * 101))

    assert kept.get("a") is None


def test_compressed_forms_count_as_well():
    kept = KeptBodies(1_000_000)
    plain = kept.keep("a", json_of())
    coded = kept.in_coding("a", plain, "gzip")

    assert kept.by_tag.currsize == plain.size + len(coded.coded["gzip"])
    assert kept.get("a") == coded


def test_nothing_is_kept_without_a_bound(monkeypatch):
    monkeypatch.setattr("core.api.conditional.kept_bodies", lambda: KeptBodies(0))
    made: list[int] = []
    answers = [respond(made=made, accept_encoding="gzip") for _ in range(2)]

    assert len(made) == 2
    assert not any(answer.has_header("Content-Encoding") for answer in answers)


def test_a_kept_body_is_sent_in_the_coding_that_the_client_accepts():
    fresh = respond(accept_encoding="gzip")
    zipped, zstd, plain = (respond(accept_encoding=header) for header in ("gzip", "zstd, gzip", ""))

    assert not fresh.has_header("Content-Encoding")
    assert (zipped["Content-Encoding"], gzip.decompress(zipped.content)) == ("gzip", BODY)
    assert (zstd["Content-Encoding"], zstandard.decompress(zstd.content)) == ("zstd", BODY)
    assert plain.content == BODY
    assert len({answer["ETag"] for answer in (zipped, zstd, plain)}) == 3
    assert all("Accept-Encoding" in answer["Vary"] for answer in (fresh, zipped, zstd, plain))


def test_fresh_bodies_are_compressed_if_the_operator_wants_that(settings):
    settings.RESPONSE_COMPRESSION = "all"
    fresh = respond(accept_encoding="gzip")

    assert gzip.decompress(fresh.content) == BODY
    assert fresh["ETag"] == respond(accept_encoding="gzip")["ETag"]


def test_a_small_body_is_not_compressed():
    for _ in range(2):
        assert not respond(body=b"[]", accept_encoding="gzip").has_header("Content-Encoding")


@pytest.mark.parametrize("coding", ["", "gzip", "zstd"])
@pytest.mark.parametrize("accepts", ["", "gzip", "zstd"])
def test_whoever_holds_a_form_of_the_body_is_told_so_by_its_own_tag(coding, accepts):
    tag = coded_tag(respond()["ETag"], coding)
    answer = respond(if_none_match=f'"x", W/{tag}', accept_encoding=accepts)

    assert (answer.status_code, answer.content, answer["ETag"]) == (304, b"", tag)


def test_a_form_of_another_state_is_not_held():
    tag = coded_tag(respond()["ETag"], "gzip")

    assert respond(parts=("later",), if_none_match=tag, accept_encoding="gzip").status_code == 200


@pytest.mark.parametrize(
    ("header", "coding"),
    [
        ("", ""),
        ("identity", ""),
        ("br", ""),
        ("gzip", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("GZIP;q=0.5", "gzip"),
        ("gzip;q=0.5, identity", ""),
        ("zstd;q=0.1, gzip;q=0.9", "gzip"),
        ("gzip;q=0", ""),
        ("*", "zstd"),
        ("*;q=0", ""),
        ("zstd;q=0, *", "gzip"),
        ("gzip;q=much", ""),
    ],
)
def test_the_coding_is_the_one_that_the_client_likes_best(header, coding):
    assert accepted_coding(header) == coding


def test_the_process_keeps_as_much_as_is_set(settings):
    assert kept_bodies().limit == settings.RESPONSE_CACHE_MB * 1_048_576
