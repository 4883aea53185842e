"""Sessions of the admin, in the database as Django keeps them."""

from django.contrib.sessions.backends import db


class SessionStore(db.SessionStore):
    """Takes a key that PostgreSQL cannot compare for no key: a quoted cookie may hold NUL characters."""

    def _validate_session_key(self, key: str) -> bool:
        return bool(super()._validate_session_key(key)) and "\0" not in key  # type: ignore[misc]
