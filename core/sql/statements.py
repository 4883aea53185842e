"""How many statements a thread has sent, for the access log and the metrics."""

import threading


class Statements(threading.local):
    """Counts the statements of each thread; only grows. Every connection that Django makes adds to it."""

    sent = 0


statements = Statements()
