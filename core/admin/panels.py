"""What the start page shows: panels, each registered by the package that knows what is in it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.safestring import SafeString

from core.admin.keys import key_of
from core.admin.tenants import staff_tenant_id
from core.tenancy.models import Tenant

Content = Mapping[str, object] | None


class Place(StrEnum):
    """Where a panel is shown: as one of the numbers at the top, over the whole width, or in a column."""

    NUMBER = "number"
    WIDE = "wide"
    MAIN = "main"
    SIDE = "side"


@dataclass(frozen=True, slots=True)
class Panel:
    """A part of the start page.

    `content` returns what its template shows for one shop; None when the user may not see it. A panel that is
    `late` is fetched by the page after it was shown, so that slow queries never delay the page.
    """

    name: str
    title: str | Promise
    place: Place
    order: int
    template: str
    content: Callable[[HttpRequest, Tenant], Content]
    is_late: bool = False

    @property
    def address(self) -> str:
        return reverse("admin:panel", args=[self.name])


_panels: dict[str, Panel] = {}


def register_panel(panel: Panel) -> None:
    """Have the start page show this panel as well."""
    if _panels.setdefault(panel.name, panel) is not panel:
        raise ValueError(f"There are two panels named {panel.name}.")


def registered_panels() -> Mapping[str, Panel]:
    """Return the panels by name."""
    return _panels


@dataclass(frozen=True, slots=True)
class ShownPanel:
    """A panel with its finished text; None where the page fetches it."""

    panel: Panel
    html: SafeString | None


def shop_of(request: HttpRequest) -> Tenant | None:
    """Return the tenant whose shop the page is about; None when a superuser has to choose one.

    That is the user's own, else the one that the address names, else the only one.
    """
    try:
        key = staff_tenant_id(request) or key_of(request.GET.get("tenant", ""))
    except PermissionDenied:
        return None
    if key is not None:
        return Tenant.objects.filter(pk=key).first()
    first = list(Tenant.objects.all()[:2])
    return first[0] if len(first) == 1 else None


def render_panel(panel: Panel, request: HttpRequest, shop: Tenant) -> SafeString | None:
    """Return the panel's text; None when there is nothing that the user may see."""
    content = panel.content(request, shop)
    if content is None:
        return None
    return render_to_string(panel.template, {**content, "panel": panel, "shop": shop}, request)


def shown_panels(request: HttpRequest, shop: Tenant) -> dict[str, list[ShownPanel]]:
    """Return what the start page shows, by place, in order."""
    found: dict[str, list[ShownPanel]] = {place.value: [] for place in Place}
    for panel in sorted(_panels.values(), key=lambda one: (one.order, one.name)):
        html = None if panel.is_late else render_panel(panel, request, shop)
        if html is not None or panel.is_late:
            found[panel.place].append(ShownPanel(panel, html))
    return found
