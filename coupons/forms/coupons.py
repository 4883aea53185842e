from decimal import Decimal
from typing import Any

from django import forms
from django.contrib.admin import AdminSite, widgets
from django.contrib.postgres.forms import SimpleArrayField
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.utils.translation import gettext_lazy as _

from catalog.models import Category
from core.admin import DocumentForm
from core.admin.faults import fault_text, refusal_text
from core.admin.forms import AutocompleteSelect
from core.bodies import SchemaMetadata, bound_problems
from core.model_fields import foreign_key
from core.tenancy.models import Tenant
from core.text import plain
from coupons.bodies import UNLIMITED, CouponBody, Restrictions, attributes_by_path, stored_body
from coupons.codes import check_code
from coupons.eligibility_queries import normalise_code
from coupons.errors import InvalidCode
from coupons.models import Coupon, CouponCategory, CouponSegment
from coupons.money import stored_money
from coupons.rules import problems_of
from segments.models import Segment

FORM_FIELDS = {
    **attributes_by_path(),
    "discountAbsolute": "discount_amount",
    "restrictions.minOrderValue": "min_order_amount",
}
"""The form's fields by the paths on the wire that errors name."""


class AutocompleteSelectMultiple(widgets.AutocompleteSelectMultiple, AutocompleteSelect):
    """The admin's search-as-you-type select of several rows, limited to one tenant's."""

    def build_attrs(
        self, base_attrs: dict[str, object], extra_attrs: dict[str, object] | None = None
    ) -> dict[str, object]:
        """Leave out the button that clears all: it is no entry of the list that screen readers are read."""
        return super().build_attrs(base_attrs, extra_attrs) | {"data-allow-clear": "false"}


class CustomersField(SimpleArrayField):
    """Customer numbers, one a line."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            forms.CharField(max_length=128),
            delimiter="\n",
            required=False,
            widget=forms.Textarea(attrs={"rows": 4, "cols": 40}),
            **options,
        )

    def to_python(self, value: object) -> Any:
        lines = value.replace(",", "\n") if isinstance(value, str) else value
        entries = (str(entry).strip() for entry in super().to_python(lines))
        return list(dict.fromkeys(entry for entry in entries if entry))


class CouponForm(DocumentForm):
    """A coupon. A script hides what the chosen kind does not need; all rules of the API apply."""

    admin_site: AdminSite

    code = forms.CharField(
        required=False,
        max_length=128,
        help_text=_("What customers enter; fixed once saved. Leave empty to have one generated."),
    )
    segments = forms.ModelMultipleChoiceField(
        Segment.objects.none(),
        label=_("Segments"),
        required=False,
        help_text=_(
            "Members of any of these may redeem the coupon, for the items of the segments they are in."
        ),
    )
    included_categories = forms.ModelMultipleChoiceField(
        Category.objects.none(),
        label=_("Included categories"),
        required=False,
        help_text=_("The coupon is for products in or below these. Leave empty for all products."),
    )
    excluded_categories = forms.ModelMultipleChoiceField(
        Category.objects.none(),
        label=_("Excluded categories"),
        required=False,
        help_text=_("The coupon is not for products in or below these."),
    )
    valid_for = CustomersField(
        label=_("Only for these customers"),
        help_text=_("Customer numbers, one a line. Leave empty for all customers."),
    )
    forgets_missing = forms.BooleanField(
        label=_("Remove what was deleted"),
        required=False,
        help_text=_("The coupon still names segments or categories that exist no more."),
    )

    class Meta:
        model = Coupon
        fields = "__all__"
        labels = {
            "discount_percentage": _("Percentage"),
            "discount_amount": _("Amount"),
            "discount_currency": _("Currency"),
            "discount_calculation_type": _("Applied to"),
            "allows_anonymous": _("Anonymous customers too"),
            "max_redemptions": _("Uses in all"),
            "max_redemptions_per_customer": _("Uses for each customer"),
            "is_segment_restricted": _("Only for members of segments"),
            "is_category_restricted": _("Only for products of categories"),
            "min_order_amount": _("Order of at least"),
            "min_order_currency": _("Currency of that"),
            "mixin_schemas": _("Mixin schemas"),
        }
        help_texts = {
            "max_redemptions": _("Leave empty for no limit. With 0 nobody can redeem it."),
            "max_redemptions_per_customer": _(
                "Leave empty for no limit. Each legal entity counts separately."
            ),
            "valid_from": _("The first instant at which it can be redeemed. Leave empty for no start."),
            "valid_to": _("The last instant at which it can be redeemed. Leave empty for no end."),
            "issued_to": _("The number of the customer who was given it; does not restrict it."),
            "is_listed": _(
                "Whether customers who can use it find it among their coupons. Unknown: if it is"
                " only for certain customers."
            ),
            "mixins": _("Free attributes, as a JSON object."),
            "mixin_schemas": _("The address of each mixin's schema, by the mixin's name."),
        }

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)
        is_new = self.instance._state.adding
        self.stored = None if is_new else stored_body(self.instance).restrictions
        for name in ("discount_percentage", "discount_amount", "min_order_amount"):
            if isinstance(self.initial.get(name), Decimal):  # an address may begin the form with any text
                self.initial[name] = plain(self.initial[name])
        tenant = self.tenant
        if tenant is None or "segments" not in self.fields:
            return
        self.choices_of(tenant, "segments", Segment.objects.all(), CouponSegment, "segment")
        self.choices_of(tenant, "included_categories", Category.objects.all(), CouponCategory, "category")
        self.choices_of(tenant, "excluded_categories", Category.objects.all(), CouponCategory, "category")
        if not self.missing():
            del self.fields["forgets_missing"]

    def choices_of(
        self, tenant: Tenant, name: str, rows: QuerySet, through: type[Model], relation: str
    ) -> None:
        """Let the field choose among the tenant's rows, searched for as one types."""
        field = self.fields[name]
        assert isinstance(field, forms.ModelMultipleChoiceField)
        field.queryset = found = rows.filter(tenant=tenant)
        field.widget = AutocompleteSelectMultiple(
            foreign_key(through, relation), self.admin_site, tenant_id=tenant.pk
        )
        field.widget.choices = field.choices
        if self.stored is not None:
            self.initial[name] = found.filter(external_id__in=getattr(self.stored, name))

    def missing(self) -> dict[str, tuple[str, ...]]:
        """Return the ids that the stored coupon names and that exist no more, by field."""
        if self.stored is None:
            return {}
        found = {}
        for name in ("segments", "included_categories", "excluded_categories"):
            existing = set(self.initial[name].values_list("external_id", flat=True))
            if gone := tuple(entry for entry in getattr(self.stored, name) if entry not in existing):
                found[name] = gone
        return found

    def clean_code(self) -> str:
        code = normalise_code(self.cleaned_data["code"], case_sensitive=True)
        if not code:
            return ""
        try:
            return check_code(code)
        except InvalidCode as refused:
            raise ValidationError(refusal_text(refused), code=refused.code) from None

    def clean(self) -> dict[str, object] | None:
        cleaned = super().clean()
        for kind in ("discount", "min_order"):
            amount, currency = f"{kind}_amount", f"{kind}_currency"
            if self.cleaned_data.get(amount) is not None and not self.cleaned_data.get(currency):
                assert self.tenant is not None  # every coupon has one
                self.cleaned_data[currency] = self.tenant.currency
            if self.cleaned_data.get(amount) is None:
                self.cleaned_data[currency] = None
        if not self.errors:
            for problem in (*bound_problems(self.body), *problems_of(self.body)):
                self.add_error(FORM_FIELDS[problem.field.partition("[")[0]], fault_text(problem.message))
        return cleaned

    def validate_constraints(self) -> None:
        """Leave the rules to `problems_of`, which says them in words, and the code to the operation."""

    def validate_unique(self) -> None:
        """See `validate_constraints`."""

    def named(self, name: str) -> list[str]:
        """Return the ids that the field chooses, and those that were deleted meanwhile unless forgotten."""
        chosen = [row.external_id for row in self.cleaned_data[name]]
        return (
            chosen if self.cleaned_data.get("forgets_missing") else [*chosen, *self.missing().get(name, ())]
        )

    @property
    def body(self) -> CouponBody:
        """The coupon that the form describes. Call it when the fields are clean."""
        entered = self.cleaned_data
        by_segments, by_categories = entered["is_segment_restricted"], entered["is_category_restricted"]
        return CouponBody(
            name=entered["name"],
            code=entered.get("code", ""),
            description=entered["description"],
            discount_type=entered["discount_type"],
            discount_percentage=entered["discount_percentage"],
            discount_absolute=stored_money(entered["discount_amount"], entered["discount_currency"]),
            discount_calculation_type=entered["discount_calculation_type"],
            allows_anonymous=entered["allows_anonymous"],
            max_redemptions=limit_of(entered["max_redemptions"]),
            max_redemptions_per_customer=limit_of(entered["max_redemptions_per_customer"]),
            is_category_restricted=by_categories,
            is_segment_restricted=by_segments,
            restrictions=Restrictions(
                valid_for=entered["valid_for"] or [],
                valid_from=entered["valid_from"],
                valid_to=entered["valid_to"],
                min_order_value=stored_money(entered["min_order_amount"], entered["min_order_currency"]),
                segments=self.named("segments") if by_segments else [],
                included_categories=self.named("included_categories") if by_categories else [],
                excluded_categories=self.named("excluded_categories") if by_categories else [],
            ),
            issued_to=entered["issued_to"],
            is_listed=entered["is_listed"],
            mixins=entered["mixins"],
            metadata=SchemaMetadata(version=self.version_seen, mixins=entered["mixin_schemas"]),
        )


def limit_of(uses: int | None) -> int:
    """Return a limit as the wire has it; an empty one is unlimited."""
    return UNLIMITED if uses is None else uses
