"""Pages that say what a change would do, and make it when they are confirmed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.contrib.admin import ModelAdmin
from django.http import HttpRequest
from django.template.response import TemplateResponse

CONFIRMED, BACK = "_confirmed", "_back"
NOT_REPEATED = {"csrfmiddlewaretoken", CONFIRMED, BACK}


@dataclass(frozen=True, slots=True)
class Part:
    """What a number is made of: a number of its own with the list that it counts, or names."""

    text: str
    url: str = ""
    is_names: bool = False


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that a change does: a number, what it counts, where it is listed, and what it is made of."""

    number: str
    text: str
    url: str = ""
    parts: Sequence[Part] = ()
    is_loss: bool = False

    @property
    def details(self) -> str:
        return " · ".join(part.text for part in self.parts)


class ConfirmationNeeded(Exception):
    """A form is not saved before a person has seen what that does."""

    def __init__(self, question: str, facts: Sequence[Fact], *, as_of: str = "", button: str = "") -> None:
        super().__init__(question)
        self.question, self.facts, self.as_of, self.button = question, facts, as_of, button


def is_confirmed(request: HttpRequest) -> bool:
    return CONFIRMED in request.POST


def repeated_values(request: HttpRequest) -> Iterator[tuple[str, str]]:
    """Yield what was posted, to be posted again."""
    for name, values in request.POST.lists():
        if name not in NOT_REPEATED:
            yield from ((name, value) for value in values)


def read_versions(request: HttpRequest) -> dict[str, int]:
    """Return the versions that were looked at, by the ids of rows."""
    pairs = (text.rpartition("=") for text in request.POST.getlist("version"))
    return {name: int(number) for name, _, number in pairs if number.isdecimal() and len(number) < 10}


def confirmation_page(
    model_admin: ModelAdmin,
    request: HttpRequest,
    needed: ConfirmationNeeded,
    *,
    template: str = "admin/confirmation.html",
    **context: object,
) -> TemplateResponse:
    """Show what would happen, with what was posted as hidden fields."""
    return TemplateResponse(
        request,
        template,
        {
            **model_admin.admin_site.each_context(request),
            "title": needed.question,
            "opts": model_admin.opts,
            "facts": needed.facts,
            "as_of": needed.as_of,
            "button": needed.button,
            "repeated": list(repeated_values(request)),
            "media": model_admin.media,
            **context,
        },
    )
