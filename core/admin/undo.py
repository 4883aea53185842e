"""Success messages with a button that takes back what the page has just done."""

from urllib.parse import urlsplit

from django.contrib import messages
from django.http import HttpRequest
from django.middleware.csrf import get_token
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from core.actors import current_actor
from core.admin.counts import exact_count
from core.journal.models import Change


def button(request: HttpRequest, *, page: str, text: str, back: str = "", **values: object) -> SafeString:
    """Return a form of one button that posts the values and comes back to the address `back`."""
    fields = format_html_join(
        "",
        '<input type="hidden" name="{}" value="{}">',
        [("csrfmiddlewaretoken", get_token(request)), *values.items(), ("next", back)],
    )
    return format_html(
        '<form method="post" action="{}" class="in-message">{}<button type="submit">{}</button></form>',
        page,
        fields,
        text,
    )


def message_with_undo(
    request: HttpRequest, text: str, *, back: str = "", label: str = "", level: int = messages.SUCCESS
) -> None:
    """Say what this request did, with a button that takes back all of it.

    The journal knows the changes by the request, so this works for whatever an operation wrote. Where nothing
    was changed there is no button.
    """
    actor = current_actor()
    if actor is None or not actor.source_id or not has_changed(actor.source_type, actor.source_id):
        messages.add_message(request, level, text)
        return
    undo = button(
        request,
        page=reverse("admin:journal_change_undo_occasion"),
        text=label or gettext("Undo"),
        back=back or request.get_full_path(),
        type=actor.source_type,
        id=actor.source_id,
    )
    messages.add_message(request, level, format_html("{} {}", text, undo))


def has_changed(source_type: str, source_id: str) -> bool:
    """Say whether the source has changed anything by now."""
    return Change.objects.filter(source_type=source_type, source_id=source_id).exists()


def message_of_number(request: HttpRequest, text: str, number: int, *, back: str = "") -> None:
    """Say how many rows this request changed, `{number}` in the text; a button takes that back, if any."""
    said = text.format(number=exact_count(number))
    if number:
        message_with_undo(request, said, back=back)
    else:
        messages.success(request, said)


def page_after(request: HttpRequest, default: str) -> str:
    """Return the address of this server that a form names in `next`, otherwise the default."""
    wanted = request.POST.get("next", "")
    parts = urlsplit(wanted)
    is_ours = wanted.startswith("/admin/") and not parts.netloc and "\\" not in wanted
    return wanted if is_ours else default
