"""The request as views see it."""

from typing import Any

from rest_framework.request import Request


class ApiRequest(Request):
    """DRF's request. What every request is asked for takes no detour.

    DRF's own looks for each attribute on itself first, which fails by an exception, and asks three times
    whether the caller is known yet: as long as all else that a view does before the handler.
    """

    _user: Any = None
    _authenticate: Any  # of DRF's, whose type stubs leave it out

    @property
    def method(self) -> str | None:  # type: ignore[override]
        return self._request.method

    @property
    def user(self) -> Any:
        if self._user is None:
            self._authenticate()
        return self._user

    @user.setter
    def user(self, value: Any) -> None:
        self._user = value
        self._request.user = value
