from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django_otp import user_has_device

OPEN_PAGES = ("login", "logout", "jsi18n")


class SecondFactor:
    """Lets staff with a one-time password into the admin only after they have entered one in this session.

    With `settings.TOTP_REQUIRED`, staff without one set it up first. However they logged in, by password or
    by an OpenID provider.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        user: Any = request.user
        is_admin = request.path.startswith(reverse("admin:index"))
        if is_admin and user.is_authenticated and not user.is_verified():
            page = self.next_step(request, user)
            if page and request.path != page:
                return HttpResponseRedirect(f"{page}?{urlencode({'next': request.get_full_path()})}")
        return self.get_response(request)

    def next_step(self, request: HttpRequest, user: object) -> str:
        """Return the page that comes before the one asked for; empty when that one may be opened."""
        if request.path in [reverse(f"admin:{name}") for name in OPEN_PAGES]:
            return ""
        if user_has_device(user):
            return reverse("totp_verify")
        return reverse("totp_set_up") if settings.TOTP_REQUIRED else ""
