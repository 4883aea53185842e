"""The form of a new campaign: its codes, and the terms that they share."""

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from msgspec import structs

from core.admin.faults import refusal_text
from coupons.bodies import CampaignBody
from coupons.codes import check_code
from coupons.errors import InvalidCode
from coupons.forms.coupons import CouponForm
from coupons.models.campaigns import MOST_CODES_OF_CAMPAIGN


class CampaignForm(CouponForm):
    """The terms as those of a coupon, whose code and number of uses are those of the codes."""

    code_count = forms.IntegerField(
        label=_("How many codes"),
        min_value=1,
        max_value=MOST_CODES_OF_CAMPAIGN,
        help_text=_("Each can be used once. More than 1,000 are made in the background."),
    )
    code_prefix = forms.CharField(
        label=_("Codes begin with"),
        max_length=32,
        required=False,
        help_text=_("For example WELCOME-. The rest of each code cannot be guessed."),
    )
    code = None  # type: ignore[assignment]
    max_redemptions = None  # each code is used once

    def clean_code_prefix(self) -> str:
        prefix: str = self.cleaned_data["code_prefix"].strip()
        try:
            check_code(f"{prefix}X")
        except InvalidCode as refused:
            raise ValidationError(refusal_text(refused), code=refused.code) from None
        return prefix

    @property
    def campaign(self) -> CampaignBody:
        """The campaign that the form describes. Call it when the fields are clean."""
        return CampaignBody(
            count=self.cleaned_data["code_count"],
            prefix=self.cleaned_data["code_prefix"],
            template=structs.replace(self.body, code=""),
        )

    def clean(self) -> dict[str, object] | None:
        self.cleaned_data.setdefault("max_redemptions", 1)
        return super().clean()
