from io import BytesIO

import pytest
from django.http import HttpResponse, StreamingHttpResponse

from config.server.wsgi_middleware import MeasuredBodies, WholeAnswers


def seen_by_application(content, *, most=10, method="POST", **environ):
    """Return the length that the application is told, and the body that it finds."""
    seen = {}

    def application(environ, start_response):
        seen.update(environ)
        return []

    MeasuredBodies(application, most=most)(
        {"REQUEST_METHOD": method, "wsgi.input": BytesIO(content), **environ}, lambda *answer: None
    )
    return seen.get("CONTENT_LENGTH"), seen["wsgi.input"].read()


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_body_without_a_length_is_measured(method):
    assert seen_by_application(b"{}", method=method, **{"wsgi.input_terminated": True}) == ("2", b"{}")


def test_no_body_has_the_length_zero():
    assert seen_by_application(b"", **{"wsgi.input_terminated": True}) == ("0", b"")


def test_of_a_body_that_is_too_long_one_byte_too_many_is_kept():
    measured = seen_by_application(b"0123456789abc", most=10, **{"wsgi.input_terminated": True})
    assert measured == ("11", b"0123456789a")


@pytest.mark.parametrize(
    "environ",
    [
        {"CONTENT_LENGTH": "3", "wsgi.input_terminated": True},
        {"method": "GET", "wsgi.input_terminated": True},
        {},  # the server would wait for more
    ],
)
def test_other_bodies_are_left_alone(environ):
    assert seen_by_application(b"0123456789abc", **environ) == (
        environ.get("CONTENT_LENGTH"),
        b"0123456789abc",
    )


class Closed(HttpResponse):
    is_closed = False

    def close(self):
        self.is_closed = True


def answered(answer):
    return WholeAnswers(lambda environ, start_response: answer, most=7)({}, lambda *head: None)


def test_a_complete_answer_becomes_a_list_and_is_closed():
    answer = Closed(["one ", "two"])

    assert answered(answer) == [b"one two"]
    assert answer.is_closed


def test_an_answer_without_content_becomes_a_list_as_well():
    assert answered(Closed()) == [b""]


def test_a_large_answer_is_left_to_the_server():
    answer = Closed(["one ", "two", "!"])

    assert answered(answer) is answer
    assert not answer.is_closed


def test_an_answer_that_comes_in_pieces_is_left_to_the_server():
    stream = StreamingHttpResponse(iter([b"one"]))

    assert answered(stream) is stream
    assert not stream.closed
