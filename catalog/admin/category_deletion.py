"""The page that says what the deletion of categories does to shoppers, before it is made."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import time_format
from django.utils.http import urlencode
from django.utils.timezone import localtime
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from catalog.extensions import category_effects
from catalog.models import Category
from catalog.operations.categories import delete_categories
from core.admin.confirmation import ConfirmationNeeded, Fact
from core.admin.counts import exact_count
from core.admin.deletion_pages import DeletionPages


class CategoryDeletion(DeletionPages[Category]):
    """Deletes categories with their subtrees."""

    most_deleted = 400
    deleted_in_order = ("tree_id", "lft")
    deletion_template = "admin/catalog/category/delete.html"
    too_many = _("Select at most {most} categories at a time.")
    of_several_tenants = _("Select categories of one tenant only.")
    changed_meanwhile = _(
        "A category was changed in the meantime, so nothing was deleted. Look at the present numbers."
    )

    def deletion_question(
        self, request: HttpRequest, rows: Sequence[Category]
    ) -> tuple[ConfirmationNeeded, dict[str, object]]:
        is_single = len(rows) == 1
        category = rows[0]
        facts = category_effects(request, rows, "DELETE", None)
        _names, counts, _lacking, _protected = self.get_deleted_objects(rows, request)
        own = {str(self.opts.verbose_name), str(self.opts.verbose_name_plural)}
        pages = self._lists_below(request, rows)
        facts += [
            Fact(str(number), name, pages.get(name, "")) for name, number in counts.items() if name not in own
        ]
        as_of = gettext("As of {time}").format(time=time_format(localtime(timezone.now()), "TIME_FORMAT"))
        if is_single:
            version = gettext("version {number}").format(number=category.version)
            as_of += f" ({version})"
        title = (
            gettext("Delete “{category}” and all below it?").format(category=category)
            if is_single
            else gettext("Delete {number} categories and all below them?").format(number=len(rows))
        )
        return ConfirmationNeeded(title, facts, as_of=as_of, button=gettext("Delete")), {
            "may_unpublish": is_single
            and category.is_published
            and self.has_change_permission(request, category),
        }

    def _lists_below(self, request: HttpRequest, rows: Sequence[Category]) -> dict[str, str]:
        """Return the lists of what goes along, by what that is called, as far as the admin has them."""
        query = urlencode({"below": ",".join(str(category.pk) for category in rows)})
        found: dict[str, str] = {}
        for relation, _action in self._references():  # type: ignore[attr-defined]
            options = relation.related_model._meta
            if not self.admin_site.is_registered(relation.related_model):
                continue
            other: Any = self.admin_site.get_model_admin(relation.related_model)
            if "below" in other.allowed_lookups(request) and other.has_view_permission(request):
                page = reverse(f"admin:{options.app_label}_{options.model_name}_changelist")
                names = (str(options.verbose_name), str(options.verbose_name_plural))
                found |= dict.fromkeys(names, f"{page}?{query}")
        return found

    def delete_confirmed(
        self, request: HttpRequest, rows: Sequence[Category], versions: Mapping[str, int]
    ) -> str:
        keys = [category.pk for category in rows]
        delete_categories(tenant_id=rows[0].tenant_id, category_ids=keys, versions=versions)
        if len(rows) == 1:
            return gettext("Deleted {category}.").format(category=rows[0])
        text = ngettext("Deleted {number} category.", "Deleted {number} categories.", len(rows))
        return text.format(number=exact_count(len(rows)))
