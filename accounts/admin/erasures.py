from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from accounts.models import Erasure
from core.admin import ReadOnlyAdmin


@admin.register(Erasure)
class ErasureAdmin(ReadOnlyAdmin):
    explanation = _("Customers who have been erased: when, by whom, and how many rows of what.")
    empty_state = _("Nobody has been erased.")
    list_display = ("pseudonym", "erased_at", "requested_by", "counts")
    search_fields = ("=pseudonym",)
    search_help_text = _("A whole pseudonym, as redemptions show it.")
    ordering = ("-id",)
    fields = ("pseudonym", "erased_at", "requested_by", "counts")
