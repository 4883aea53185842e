import os
import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server

from django.core.handlers.wsgi import WSGIRequest

from bench.limits import BareViews
from bench.server import HOST, Server


class Quiet(WSGIRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


def answer(environ, start_response):
    response = BareViews(None)(WSGIRequest(environ))
    start_response(f"{response.status_code} OK", list(response.items()))
    return [response.content]


def test_the_worker_that_is_measured_is_the_process_that_answers(tmp_path):
    """Not the last child of the server, which may be the background worker."""
    server = Server(tmp_path)
    with make_server(HOST, server.port, answer, handler_class=Quiet) as answering:
        thread = threading.Thread(target=answering.serve_forever)
        thread.start()
        try:
            assert server.worker == os.getpid()
            assert server.megabytes() > 10
        finally:
            answering.shutdown()
            thread.join()
