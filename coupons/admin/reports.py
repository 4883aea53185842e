"""The report on coupons: of all of them, of one campaign or segment, or compared by campaign or segment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.core.validators import MaxValueValidator, MinValueValidator
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core.admin.charts import DayValue, LineChart, line_chart, share
from core.admin.declared import Text
from core.admin.faults import refusal_text
from core.admin.filters import days_parameter, visible_rows
from core.admin.keys import key_of
from core.admin.pages import register_page
from core.admin.tenants import staff_tenant_id
from core.errors import InvalidInput
from core.tenancy.models import Tenant
from coupons.admin.amounts import money_text
from coupons.admin.filters import CodesFilter
from coupons.models import Coupon, CouponCampaign
from coupons.reasons import ReasonType
from coupons.reports import Grouping, ReportLine, ReportTotal, report, totals
from segments.console.record_parts import Tab, register_tab
from segments.models import Segment

RIGHT = "coupons.view_redemption"
PERIODS = (30, 90, 366)
MOST_COMPARED = 200
REASONS: dict[str, Text] = {
    ReasonType.NOT_STARTED: _("It has not started yet"),
    ReasonType.EXPIRED: _("It is over"),
    ReasonType.USED_UP: _("All its uses are spent"),
    ReasonType.CUSTOMER_LIMIT: _("The customer has used it as often as allowed"),
    ReasonType.LEGAL_ENTITY_LIMIT: _("The customer has used it as often as allowed for this company"),
    ReasonType.ANONYMOUS: _("Nobody was logged in"),
    ReasonType.CUSTOMER: _("It is for other customers"),
    ReasonType.SEGMENT: _("The customer is in none of its segments"),
    ReasonType.NO_ITEM: _("It is for none of the items"),
    ReasonType.MIN_ORDER_VALUE: _("The order was too small"),
    ReasonType.CURRENCY: _("The order was in another currency"),
    ReasonType.DISCOUNT: _("The discount was larger than it gives"),
    ReasonType.UNKNOWN: _("There was no such code"),
    ReasonType.TOO_MANY: _("There were too many coupons on the cart"),
}


def report_page(*, campaign: CouponCampaign | None = None, segment: Segment | None = None) -> str:
    """Return the address of the report, of one campaign or segment where it is given."""
    chosen = {"campaign": campaign, "segment": segment}
    query = {name: row.pk for name, row in chosen.items() if row is not None}
    page = reverse("admin:coupons_report")
    return f"{page}?{urlencode(query)}" if query else page


Reported = CouponCampaign | Segment
"""What a report can be limited to."""


def redemptions_page(first: date, last: date, row: Reported | None = None) -> str:
    """Return the list of the redemptions of these days, of one campaign or segment where it is given."""
    query = {"days": days_parameter(first, last)}
    if row is not None:
        query["campaign" if isinstance(row, CouponCampaign) else "segment"] = str(row.pk)
    return f"{reverse('admin:coupons_redemption_changelist')}?{urlencode(query)}"


def issued_page(first: date, last: date, row: Reported | None = None) -> str:
    """Return the list of the coupons and codes issued on these days, as `redemptions_page` does."""
    codes = str(row.pk) if isinstance(row, CouponCampaign) else CodesFilter.EVERY
    query = {CodesFilter.parameter_name: codes, "days": days_parameter(first, last)}
    if isinstance(row, Segment):
        query["segments"] = str(row.pk)
    return f"{reverse('admin:coupons_coupon_changelist')}?{urlencode(query)}"


BOUNDS = (MinValueValidator(date(2000, 1, 1)), MaxValueValidator(date(2999, 12, 31)))


@dataclass(frozen=True, slots=True)
class DayRow:
    """A day of the report; `bar` is the length of its bar, of 1000."""

    day: date
    total: ReportTotal
    discounts: list[str]
    bar: int
    redemptions: str
    issued: str


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A campaign or segment of the report that compares them."""

    name: str
    url: str
    total: ReportTotal
    discounts: list[str]
    bar: int
    redemptions: str
    issued: str


class PeriodForm(forms.Form):
    """Which days, and how they are divided."""

    first = forms.DateField(
        label=_("From"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        validators=BOUNDS,
    )
    last = forms.DateField(
        label=_("To"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        validators=BOUNDS,
    )


def money_of(total: ReportTotal) -> list[str]:
    """Return the discounts in words, a currency each."""
    return [money_text(amount, name) for name, amount in sorted(total.discounts.items())]


def by_day(lines: Sequence[ReportLine], first: date, last: date) -> list[tuple[date, ReportTotal]]:
    days = {first + timedelta(number): ReportTotal() for number in range((last - first).days + 1)}
    for line in lines:
        days[line.day].add(line)
    return list(days.items())


def total_of(lines: Sequence[ReportLine]) -> ReportTotal:
    total = ReportTotal()
    for line in lines:
        total.add(line)
    return total


def chart_of(days: Sequence[tuple[date, ReportTotal]]) -> LineChart | None:
    """Return the line of redemptions by day; None for a single day."""
    return line_chart([DayValue(day, total.redeemed) for day, total in days]) if len(days) > 1 else None


def tenant_of(request: HttpRequest, row: Reported | None) -> Tenant | None:
    """Return whose coupons are reported on: those of the row, the staff's, or of the only tenant."""
    if row is not None:
        return row.tenant
    tenants = Tenant.objects.order_by("pk")
    if (tenant_id := staff_tenant_id(request)) is not None:
        return tenants.filter(pk=tenant_id).first()
    if (key := key_of(request.GET.get("tenant", ""))) is not None:
        return tenants.filter(pk=key).first()
    return tenants.first()


def chosen_row(request: HttpRequest) -> Reported | None:
    """Return the campaign or segment that the address names, if the user may see it."""
    for name, model in (("campaign", CouponCampaign), ("segment", Segment)):
        key = key_of(request.GET.get(name, ""))
        if key is None or not request.user.has_perm(f"{model._meta.app_label}.view_{model._meta.model_name}"):
            continue
        rows = visible_rows(model, request, admin.site.get_model_admin(Coupon))
        return rows.select_related("tenant").filter(pk=key).first()
    return None


def report_view(request: HttpRequest) -> HttpResponse:
    """Show the report on coupons."""
    if not request.user.has_perm(RIGHT):
        raise PermissionDenied
    row = chosen_row(request)
    tenant = tenant_of(request, row)
    form = PeriodForm(request.GET)
    last = (form.is_valid() and form.cleaned_data["last"]) or timezone.now().date()
    first = (form.is_valid() and form.cleaned_data["first"]) or last - timedelta(PERIODS[0] - 1)
    wanted = request.GET.get("by", "")
    compared = Grouping(wanted) if row is None and wanted in ("campaign", "segment") else Grouping.NONE
    of_row = Grouping.NONE
    if row is not None:
        of_row = Grouping.CAMPAIGN if isinstance(row, CouponCampaign) else Grouping.SEGMENT
    lines: list[ReportLine] = []
    groups: dict[str, ReportTotal] = {}
    error = " ".join(str(text) for texts in form.errors.values() for text in texts)
    if tenant is not None and not error:
        try:
            lines = report(
                tenant_id=tenant.pk,
                first=first,
                last=last,
                by=of_row,
                only="" if row is None else row.external_id,
            )
            if compared:
                groups = totals(tenant_id=tenant.pk, first=first, last=last, by=compared)
        except InvalidInput as refused:
            error = refusal_text(refused)
    if error:
        first = last
    days = by_day(lines, first, last)
    most = max(total.redeemed for _, total in days)
    total = total_of(lines)
    own = {name: request.GET[name] for name in ("campaign", "segment", "by", "tenant") if name in request.GET}
    context = {
        **admin.site.each_context(request),
        "title": gettext("Report on {name}").format(name=name_of(row)) if row else gettext("Coupon report"),
        "row": row,
        "segment": row if isinstance(row, Segment) else None,
        "row_page": page_of_row(row),
        "list_page": list_page(row),
        "list_name": capfirst(str(row._meta.verbose_name_plural)) if row else "",
        "form": form,
        "own": own,
        "error": error,
        "first": first,
        "last": last,
        "total": total,
        "discounts": money_of(total),
        "refusals": [
            (wording(reason), count, share(count, total.refused))
            for reason, count in total.refusals.most_common()
        ],
        "chart": chart_of(days),
        "days": [
            DayRow(
                day,
                each,
                money_of(each),
                share(each.redeemed, most),
                redemptions_page(day, day, row),
                issued_page(day, day, row),
            )
            for day, each in reversed(days)
            if each != ReportTotal()
        ],
        "compared": compared,
        "groups": group_rows(request, groups, compared, tenant, (first, last)) if compared else [],
        "redemptions": redemptions_page(first, last, row),
        "issued": issued_page(first, last, row),
        "periods": [
            (
                days_back,
                f"?{urlencode({**own, 'first': str(last - timedelta(days_back - 1)), 'last': str(last)})}",
            )
            for days_back in PERIODS
        ],
        "ways": [
            ("", gettext("All coupons"), report_page()),
            ("campaign", gettext("By campaign"), f"{report_page()}?by=campaign"),
            ("segment", gettext("By segment"), f"{report_page()}?by=segment"),
        ],
    }
    return TemplateResponse(request, "admin/coupons/report.html", context)


def name_of(row: Reported | None) -> str:
    return str(row.terms.name) if isinstance(row, CouponCampaign) else str(row)


def page_of_row(row: Reported | None) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk]) if row else ""


def list_page(row: Reported | None) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_changelist") if row else ""


def wording(reason: str) -> str:
    """Return a reason of a refusal as people read it; one that this version does not know as it is."""
    return str(REASONS.get(reason, reason))


def group_rows(
    request: HttpRequest,
    groups: Mapping[str, ReportTotal],
    by: Grouping,
    tenant: Tenant | None,
    days: tuple[date, date],
) -> list[GroupRow]:
    """Return the campaigns or segments with most redemptions first, each with a link to its own report."""
    ids = sorted(groups, key=lambda name: (-groups[name].redeemed, name))[:MOST_COMPARED]
    model = CouponCampaign if by is Grouping.CAMPAIGN else Segment
    rows = visible_rows(model, request, admin.site.get_model_admin(Coupon)).filter(
        tenant=tenant, external_id__in=ids
    )
    related = "terms" if by is Grouping.CAMPAIGN else "tenant"
    known = {row.external_id: row for row in rows.select_related(related)}
    most = max((groups[name].redeemed for name in ids), default=0)
    found = []
    for name in ids:
        row, total = known.get(name), groups[name]
        url = "" if row is None else report_page(**{by.value: row})
        shown = name if row is None else name_of(row)
        pages = ("", "") if row is None else (redemptions_page(*days, row), issued_page(*days, row))
        found.append(GroupRow(shown, url, total, money_of(total), share(total.redeemed, most), *pages))
    return found


register_page(path("coupons/report/", admin.site.admin_view(report_view), name="coupons_report"))
register_tab(Tab("report", _("Report"), 60, lambda segment: report_page(segment=segment), RIGHT))
