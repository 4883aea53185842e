"""The panels of the start page about segments: numbers, calendar, findings, and the largest live segments."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.signing import BadSignature, Signer
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils import timezone, translation
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _

from accounts.identity.scopes import COUPON_READ, SEGMENT_READ
from accounts.models import Site, User
from core.admin.charts import share
from core.admin.declared import Text
from core.admin.faults import refusal_text
from core.admin.moments import read_date, shown_moment
from core.admin.pages import register_page
from core.admin.panels import Content, Panel, Place, register_panel, shop_of
from core.admin.undo import message_with_undo, page_after
from core.errors import DomainError
from core.names import name_for_reader
from core.representation.fields import Languages
from core.tenancy.models import Tenant
from core.timestamps import parse_time
from core.unavailability import contention_as_refusal
from segments.admin.effect_facts import shown
from segments.calendar import USUAL_RANGE, Calendar, CalendarEntry, calendar_of, icalendar, range_of
from segments.console.object_pages import addresses
from segments.findings import MOST_OBJECTS, FindingResult, find_remedy, look_for
from segments.overview import LiveSegments, live_segments

RIGHTS = {
    "segments.view_segment": SEGMENT_READ,
    "coupons.view_coupon": COUPON_READ,
}
MOST_BARS = 14
MOST_FOUND = 5
FOLLOWED = timedelta(days=90)
MARKS = 7
signer = Signer(salt="segments.calendar")


def scopes_of(user: User | AnonymousUser) -> list[str]:
    """Return the scopes of the API that correspond to what a member of staff may see."""
    return [scope for right, scope in RIGHTS.items() if user.has_perm(right)]


def may_see_segments(request: HttpRequest) -> bool:
    return bool(request.user.has_perm("segments.view_segment"))


def site_of(request: HttpRequest, shop: Tenant) -> str:
    """Return the code of the site that the address names; empty for all."""
    code = request.GET.get("site", "")
    return code if code and Site.objects.filter(tenant=shop, code=code).exists() else ""


def live_for(request: HttpRequest, shop: Tenant) -> LiveSegments:
    """Return the live segments, read once for all panels of a page."""
    if not hasattr(request, "_live_segments"):
        found = live_segments(shop.pk, at=timezone.now(), site_code=site_of(request, shop))
        request._live_segments = found  # type: ignore[attr-defined]
    shown: LiveSegments = request._live_segments  # type: ignore[attr-defined]
    return shown


# Numbers


def numbers(request: HttpRequest, shop: Tenant) -> Content:
    """How many segments are live, start and end."""
    if not may_see_segments(request):
        return None
    found = live_for(request, shop)
    shown = calendar_for(request, shop)
    segments = reverse("admin:segments_segment_changelist")
    members = reverse("admin:segments_customerassignment_changelist")
    starting, ending = (
        [entry for entry in shown.entries if entry.status == "ACTIVE" and getattr(entry, name)]
        for name in ("starts", "ends")
    )
    return {
        "live": found.count,
        "members": found.members,
        "live_page": f"{segments}?effect=now",
        "members_page": f"{members}?counts=yes",
        "starting": len(starting),
        "ending": len(ending),
        "is_complete": shown.complete,
        "sees_members": request.user.has_perm("segments.view_customerassignment"),
    }


# Calendar


@dataclass(frozen=True, slots=True)
class Bar:
    """An entry of the calendar as a row of the chart; `left` and `width` are thousandths of the range."""

    name: str
    url: str
    kind: str
    window: SafeString
    style: str
    left: int
    width: int


def calendar_for(request: HttpRequest, shop: Tenant) -> Calendar:
    """Return the calendar that the address asks for: 14 days from now or from the day it names."""
    if not hasattr(request, "_shown_calendar"):
        at = timezone.now()
        since = first_moment(request.GET.get("from", "")) or at
        range_ = range_of(shop.pk, at=at, since=since, until=None, site_code=site_of(request, shop))
        found = calendar_of(range_, scopes=scopes_of(request.user), languages=Languages())
        request._shown_calendar = found  # type: ignore[attr-defined]
    shown: Calendar = request._shown_calendar  # type: ignore[attr-defined]
    return shown


def first_moment(text: str) -> datetime | None:
    """Return the first moment of the day that the text names; None when it names none."""
    try:
        day = read_date(text[:40], localtime().date()) if text else None
    except ValidationError:
        return None
    return timezone.make_aware(datetime.combine(day, time.min)) if day else None


def calendar(request: HttpRequest, shop: Tenant) -> Content:
    """What starts and ends when."""
    if not may_see_segments(request):
        return None
    found = calendar_for(request, shop)
    since, until = (parse_time(text, field="from") for text in (found.since, found.until))
    alike = list(alike_entries(found.entries).values())
    shown = alike[:MOST_BARS]
    urls = {
        kind: addresses(shop.pk, kind, [one[0].id for one in shown if one[0].type == kind])
        for kind in {one[0].type for one in shown}
    }
    now = timezone.now()
    query = request.GET.copy()
    query.pop("from", None)
    rest = query.urlencode()
    return {
        "bars": [bar_of(one, urls[one[0].type].get(one[0].id, ""), since, until, now, shop) for one in shown],
        "more": sum(map(len, alike[MOST_BARS:])),
        "marks": [
            date_format(localtime(since + (until - since) * place / MARKS), "MONTH_DAY_FORMAT")
            for place in range(MARKS)
        ],
        "now": int((now - since) / (until - since) * 1000) if since <= now <= until else None,
        "earlier": f"?from={localtime(since - USUAL_RANGE):%Y-%m-%d}&{rest}",
        "later": f"?from={localtime(until):%Y-%m-%d}&{rest}",
        "days": USUAL_RANGE.days,
        "sites": list(Site.objects.filter(tenant=shop, is_active=True).order_by("code")[:20]),
        "chosen_site": site_of(request, shop),
        "subscription": request.build_absolute_uri(subscription_of(request.user, shop)),
    }


def alike_entries(entries: Iterable[CalendarEntry]) -> dict[tuple[object, ...], list[CalendarEntry]]:
    """Return the entries in their order; coupons of the same window are one row, as they come in hundreds."""
    found: dict[tuple[object, ...], list[CalendarEntry]] = {}
    for entry in entries:
        own = entry.id if entry.type == "segment" else ""
        found.setdefault((entry.type, own, entry.valid_from, entry.valid_to), []).append(entry)
    return found


def bar_of(
    alike: list[CalendarEntry], url: str, since: datetime, until: datetime, now: datetime, shop: Tenant
) -> Bar:
    entry = alike[0]
    starts, ends = (
        parse_time(text, field="validity") if text else None for text in (entry.valid_from, entry.valid_to)
    )
    left = max(0.0, (starts - since) / (until - since)) if starts else 0.0
    right = min(1.0, (ends - since) / (until - since)) if ends else 1.0
    style = "off"
    if entry.status == "ACTIVE":
        style = "waiting" if starts and starts > now else "over" if ends and ends < now else "on"
    name = name_for_reader(entry.name, shop.default_language) or entry.id
    if len(alike) > 1:
        name = gettext("{number} coupons, such as {name}").format(number=len(alike), name=name)
    return Bar(
        name=name,
        url=url,
        kind=gettext("Coupon") if entry.type == "coupon" else gettext("Segment"),
        window=window_in_words(starts, ends),
        style=style,
        left=int(left * 1000),
        width=max(4, int((right - left) * 1000)),
    )


def window_in_words(starts: datetime | None, ends: datetime | None) -> SafeString:
    if starts and ends:
        return format_html("{} – {}", shown_moment(starts), shown_moment(ends))
    if starts:
        return format_html(gettext("from {}"), shown_moment(starts))
    return format_html(gettext("until {}"), shown_moment(ends)) if ends else SafeString(gettext("always"))


# The calendar for calendar programs, which cannot log in


def subscription_of(user: User | AnonymousUser, shop: Tenant) -> str:
    """Return the private address of the calendar: it ends with the user's password or rights."""
    assert isinstance(user, User)
    token = signer.sign(f"{user.pk}-{shop.pk}-{user.get_session_auth_hash()[:16]}-{get_language() or 'en'}")
    return reverse("admin:calendar_subscription", args=[token])


def subscribed_calendar(request: HttpRequest, token: str) -> HttpResponse:
    """Return what starts and ends in the next 90 days as iCalendar, to holders of the private address."""
    try:
        user_key, shop_key, digest, language = signer.unsign(token).split("-", 3)
    except (BadSignature, ValueError):
        raise Http404 from None
    user = User.objects.filter(pk=user_key, is_active=True, is_staff=True).first()
    shop = Tenant.objects.filter(pk=shop_key).first()
    if user is None or shop is None or user.get_session_auth_hash()[:16] != digest:
        raise Http404
    if not user.has_perm("segments.view_segment") or (user.tenant_id or shop.pk) != shop.pk:
        raise Http404
    at = timezone.now()
    range_ = range_of(shop.pk, at=at, since=at, until=at + FOLLOWED, site_code="")
    with translation.override(language):
        found = calendar_of(range_, scopes=scopes_of(user), languages=Languages())
        text = icalendar(found, tenant=shop.name, languages=[language, shop.default_language])
    response = HttpResponse(text, content_type="text/calendar; charset=utf-8")
    response["Cache-Control"] = "private, no-store"
    return response


# Findings


@dataclass(frozen=True, slots=True)
class ShownFinding:
    """A finding in the reader's language, with links to what it is about."""

    name: str
    message: str
    style: str
    count: str
    objects: list[Mapping[str, str]]
    more: int
    back: str
    page: str


def findings(request: HttpRequest, shop: Tenant) -> Content:
    """What needs attention. Looks at everything, so the page fetches it later."""
    scopes: Collection[str] = scopes_of(request.user)
    if SEGMENT_READ not in scopes:
        return None
    is_whole = "X-Fragment" not in request.headers
    found = look_for(
        tenant_id=shop.pk, at=timezone.now(), scopes=scopes, most=MOST_OBJECTS if is_whole else MOST_FOUND
    )
    return {
        "findings": shown_findings(request, found, shop),
        "total": sum(one.count.value for one in found),
        "is_whole": is_whole,
        "state": "broken" if any(one.severity == "error" for one in found) else "waiting" if found else "on",
    }


def shown_findings(
    request: HttpRequest, found: Iterable[FindingResult], shop: Tenant, *, back: str = "/admin/"
) -> list[ShownFinding]:
    """Return findings in the reader's language, errors first, with the remedies that the reader may use."""
    user = request.user
    there = sorted(
        (one for one in found if one.count.value or not one.count.exact), key=lambda one: one.severity
    )
    rows = []
    for one in there:
        urls = addresses(shop.pk, one.type, [each.id for each in one.objects])
        remedy = find_remedy(one.name)
        rows.append(
            ShownFinding(
                name=one.name,
                message=gettext(one.message),
                style="broken" if one.severity == "error" else "waiting",
                count=shown(one.count),
                objects=[
                    {
                        "id": each.id,
                        "text": name_for_reader(each.name, shop.default_language) or each.id,
                        "url": urls.get(each.id, ""),
                        "remedy": gettext(remedy.label)
                        if remedy is not None and user.has_perm(remedy.right_for(each.id))
                        else "",
                    }
                    for each in one.objects
                ],
                more=one.count.value - len(one.objects),
                back=back,
                page=f"{reverse('admin:panel', args=['findings'])}?tenant={shop.pk}#{one.name}",
            )
        )
    return rows


def remedy_view(request: HttpRequest, name: str) -> HttpResponse:
    """End a finding of one object at once; the message offers to take that back."""
    remedy, shop = find_remedy(name), shop_of(request)
    if remedy is None or shop is None or request.method != "POST":
        raise Http404
    object_id = request.POST.get("id", "").replace("\0", "")
    if not request.user.has_perm(remedy.right_for(object_id)):
        raise PermissionDenied
    try:
        with contention_as_refusal(), transaction.atomic():
            remedy.apply(shop.pk, object_id, timezone.now())
    except DomainError as refused:
        messages.error(request, refusal_text(refused))
    else:
        message_with_undo(
            request,
            gettext("Done: {what}.").format(what=gettext(remedy.label)),
            back=page_after(request, reverse("admin:index")),
        )
    return HttpResponseRedirect(page_after(request, reverse("admin:index")))


# Members of live segments


def members(request: HttpRequest, shop: Tenant) -> Content:
    """The largest live segments, as bars, with the change of 7 days."""
    if not may_see_segments(request):
        return None
    found = live_for(request, shop)
    most = max((one.members for one in found.largest), default=0)
    list_page = reverse("admin:segments_customerassignment_changelist")
    sees_members = request.user.has_perm("segments.view_customerassignment")
    activity = reverse("admin:journal_change_changelist")
    sees_changes = request.user.has_perm("journal.view_change")
    return {
        "rows": [
            {
                "name": name_for_reader(one.name, shop.default_language) or one.external_id,
                "url": reverse("admin:segments_segment_change", args=[one.key]),
                "list": f"{list_page}?segment__id__exact={one.key}" if sees_members else "",
                "members": one.members,
                "change": one.change,
                "changes": f"{activity}?of=segments.segment-{one.key}&when=7" if sees_changes else "",
                "share": share(one.members, most),
            }
            for one in found.largest
        ],
        "more": found.count - len(found.largest),
        "all": reverse("admin:segments_segment_changelist") + "?effect=now",
    }


def panel(name: str, title: Text, place: Place, order: int, content: Any, *, is_late: bool = False) -> None:
    register_panel(Panel(name, title, place, order, f"admin/start/{name}.html", content, is_late))


panel("numbers", _("At a glance"), Place.NUMBER, 10, numbers)
panel("calendar", _("Calendar"), Place.WIDE, 10, calendar)
panel("findings", _("Needs attention"), Place.MAIN, 10, findings, is_late=True)
panel("members", _("Members of live segments"), Place.MAIN, 20, members)

register_page(path("findings/<slug:name>/remedy/", admin.site.admin_view(remedy_view), name="finding_remedy"))
register_page(path("calendar/<str:token>.ics", subscribed_calendar, name="calendar_subscription"))
