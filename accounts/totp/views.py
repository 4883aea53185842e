"""Pages on which staff set up one-time passwords, and enter them."""

import base64
from typing import Any

import qrcode
from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy, ngettext
from django_otp import login, match_token
from django_otp.plugins.otp_totp.models import TOTPDevice
from qrcode.image.svg import SvgPathImage

from accounts.totp.models import RecoveryCodes
from core.login_pages import page_after_login

WRONG = gettext_lazy(
    "This is neither the present one-time password nor a recovery code that is left. Wait for the next one"
    " and enter it at once; after several wrong ones you must wait a while. Check that the clock of your"
    " device is right."
)


class TokenForm(forms.Form):
    token = forms.CharField(
        label=gettext_lazy("One-time password"),
        max_length=24,  # a recovery code has 19
        widget=forms.TextInput(
            attrs={"autocomplete": "one-time-code", "inputmode": "numeric", "autofocus": True}
        ),
    )


def page_wanted(request: HttpRequest) -> str:
    return page_after_login(request.GET.get("next", ""))


def is_right(request: HttpRequest, form: TokenForm, device: TOTPDevice | None = None) -> bool:
    """Log the device in that the token belongs to. Wrong ones are slowed down by the device itself."""
    if request.method != "POST" or not form.is_valid():
        return False
    token = form.cleaned_data["token"].replace(" ", "")
    if device is None:
        device = match_token(request.user, token)
    elif device.verify_is_allowed()[0] and device.verify_token(token):
        device.confirmed = True
        device.save()
    else:
        device = None
    if device is None:
        form.add_error("token", WRONG)
        return False
    login(request, device)
    return True


def shown(request: HttpRequest, name: str, title: str, **context: object) -> HttpResponse:
    context = {**admin.site.each_context(request), "title": title, **context}
    return TemplateResponse(request, f"admin/totp/{name}.html", context)


@admin.site.admin_view
def verify(request: HttpRequest) -> HttpResponse:
    form = TokenForm(request.POST or None)
    if is_right(request, form):
        user: Any = request.user
        if isinstance(user.otp_device, RecoveryCodes):
            messages.warning(
                request,
                ngettext(
                    "You used a recovery code; {number} is left. If you have lost your device, set up"
                    " another one (One-time passwords, above).",
                    "You used a recovery code; {number} are left. If you have lost your device, set up"
                    " another one (One-time passwords, above).",
                    len(user.otp_device.hashes),
                ).format(number=len(user.otp_device.hashes)),
            )
        return HttpResponseRedirect(page_wanted(request))
    return shown(
        request, "verify", gettext("Enter your one-time password"), form=form, is_nav_sidebar_enabled=False
    )


@admin.site.admin_view
def set_up(request: HttpRequest) -> HttpResponse:
    """Show a new secret until a password made with it is entered, then new recovery codes.

    The devices and codes of before end then.
    """
    user = request.user
    device, _ = TOTPDevice.objects.get_or_create(user=user, confirmed=False, defaults={"name": "phone"})
    form = TokenForm(request.POST or None)
    if is_right(request, form, device):
        TOTPDevice.objects.filter(user=user).exclude(pk=device.pk).delete()
        messages.success(request, gettext("From now on a one-time password is asked for at each login."))
        return shown_codes(request)
    image = qrcode.make(device.config_url, image_factory=SvgPathImage).to_string()
    return shown(
        request,
        "set_up",
        gettext("Set up one-time passwords"),
        form=form,
        image=f"data:image/svg+xml;base64,{base64.b64encode(image).decode()}",
        secret=base64.b32encode(device.bin_key).decode(),
        is_nav_sidebar_enabled=False,
    )


@admin.site.admin_view
def recovery_codes(request: HttpRequest) -> HttpResponse:
    """Say how many codes are left; a POST replaces them."""
    user = request.user
    if not TOTPDevice.objects.filter(user=user, confirmed=True).exists():
        return HttpResponseRedirect(reverse("totp_set_up"))
    if request.method == "POST":
        return shown_codes(request)
    held = RecoveryCodes.objects.filter(user=user).first()
    return shown(
        request, "recovery_codes", gettext("One-time passwords"), left=len(held.hashes) if held else 0
    )


def shown_codes(request: HttpRequest) -> HttpResponse:
    """Show new codes, the only time that anybody can see them."""
    user: Any = request.user
    return shown(
        request,
        "new_codes",
        gettext("Your recovery codes"),
        codes=RecoveryCodes.issue(user),
        page_wanted=page_wanted(request),
        is_nav_sidebar_enabled=False,
    )
