import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.db.models import Model, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from js_asset import Script
from mptt.admin import DraggableMPTTAdmin, MPTTModelAdmin

from catalog.admin.category_deletion import CategoryDeletion
from catalog.admin.filters import BelowFilter
from catalog.admin.search import NamedAdmin
from catalog.extensions import category_actions, category_effects
from catalog.forms.categories import FORM_FIELDS, CategoryForm
from catalog.models import Category, CategoryAssignment
from catalog.operations.categories import (
    create_category,
    edit_category,
    move_category_beside,
    publish_categories,
)
from core.admin import adopt
from core.admin.confirmation import (
    ConfirmationNeeded,
    Fact,
    confirmation_page,
    is_confirmed,
    read_versions,
    repeated_values,
)
from core.admin.counts import CappedCount, exact_count, shown_count
from core.admin.declared import Columns, Names, Text
from core.admin.faults import refusal_text
from core.admin.keys import key_of
from core.admin.lists import AnnotatedChangeList
from core.admin.undo import message_of_number, message_with_undo
from core.errors import DomainError, Unavailable
from core.unavailability import contention_as_refusal

LONGEST_NAME = 500
LONGEST_DESCRIPTION = 10_000
LARGEST_WHOLE_TREE = 2_000
ROWS_OF_A_LEVEL = 200
PARENT = "parent__id__exact"
CHANGELIST = "admin:catalog_category_changelist"


class CategoryChangeList(AnnotatedChangeList):
    """The tree: whole while it fits on a page, else one level at a time, beginning with the roots."""

    def get_queryset(
        self, request: HttpRequest, exclude_parameters: list[str | None] | None = None
    ) -> QuerySet:
        rows: Any = super().get_queryset(request, exclude_parameters)
        model_admin: Any = self.model_admin
        self.shown_parent = model_admin.shown_parent(request)
        is_narrowed = self.query or self.has_active_filters or self.shown_parent
        if not model_admin.is_large(request):
            return rows
        self.list_per_page = ROWS_OF_A_LEVEL
        return rows if is_narrowed else rows.roots()


def assignments_of_row() -> QuerySet:
    return CategoryAssignment.objects.filter(tenant=OuterRef("tenant"), category=OuterRef("pk"))


def assignments_page(category: Category) -> str:
    """Return the address of the list of what is assigned to the category."""
    return reverse("admin:catalog_categoryassignment_changelist") + f"?category__id__exact={category.pk}"


def ways_up(category: Category | None) -> list[tuple[str, str]]:
    """Return the levels from the roots down to the one that is open, as addresses and texts."""
    if category is None:
        return []
    line = category.get_ancestors(include_self=True).visible().select_related("tenant")
    return [("?", gettext("All categories")), *((f"?{PARENT}={above.pk}", str(above)) for above in line)]


@admin.register(Category)
class CategoryAdmin(CategoryDeletion, DraggableMPTTAdmin, NamedAdmin):
    """Categories as a tree that rows are dragged in; every move goes through the operation."""

    form = CategoryForm
    found_at = 5
    explanation = _("The tree that products are sorted into.")
    empty_state = _("Add one, or let another system write them through the API.")
    localized_fields = {"name": LONGEST_NAME, "description": LONGEST_DESCRIPTION, "slug": LONGEST_NAME}
    error_fields = FORM_FIELDS
    change_list_template = "admin/catalog/category/change_list.html"
    list_display = (
        "tree_actions",
        "indented_title",
        "code",
        "is_published",
        "below",
        "assigned",
        "add_below",
    )
    list_display_links = ("indented_title",)
    list_filter = (BelowFilter, "is_published", "type")
    linked_lookups = (PARENT,)
    list_per_page = LARGEST_WHOLE_TREE
    list_max_show_all = LARGEST_WHOLE_TREE
    expand_tree_by_default = True
    readonly_fields = ("version", "created_at", "modified_at")
    fieldsets = (
        (None, {"fields": ("name", "parent_category", "position", "is_published", "code", "external_id")}),
        (_("Shown in shops"), {"fields": ("description", "slug", "valid_from", "valid_to")}),
        (_("Classification"), {"fields": ("type", "own_classification_mixins"), "classes": ("collapse",)}),
        (_("Own attributes"), {"fields": ("numbers", "mixins", "mixin_schemas"), "classes": ("collapse",)}),
        (_("Record"), {"fields": ("version", "created_at", "modified_at"), "classes": ("collapse",)}),
    )

    def autocomplete_text(self, category: Category) -> str:
        """Return what the fields that search categories show of one: its path."""
        return category.path_text

    # --- the tree ---

    def is_large(self, request: HttpRequest) -> bool:
        """Say whether the staff's categories are more than one page shows."""
        rows = self.get_queryset(request).order_by()
        return rows[LARGEST_WHOLE_TREE : LARGEST_WHOLE_TREE + 1].exists()

    def shown_parent(self, request: HttpRequest) -> Category | None:
        """Return the category whose level is open; None for the roots or the whole tree."""
        key = key_of(request.GET.get(PARENT, ""))
        return None if key is None else self.get_queryset(request).filter(pk=key).first()

    def get_changelist(self, request: HttpRequest, **options: object) -> type[CategoryChangeList]:
        return CategoryChangeList

    @property
    def actions(self) -> tuple[object, ...]:  # type: ignore[override]
        return ("delete_selected", "publish", "unpublish", *category_actions())

    def get_actions(self, request: HttpRequest, action_location: object = None) -> Any:
        """Return the actions past mptt's own, which replaces the deletion that asks with its effects."""
        return super(MPTTModelAdmin, self).get_actions(request, action_location)

    def annotated(self, queryset: QuerySet) -> QuerySet:
        return queryset.annotate(assigned_count=CappedCount(assignments_of_row()))

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, object] | None = None
    ) -> HttpResponse:
        if request.method == "POST" and request.POST.get("cmd") == "move_node":
            return self.move_dropped(request)
        # Past mptt's own, which sends the whole tree along with each page.
        response = super(MPTTModelAdmin, self).changelist_view(request, extra_context)
        context = getattr(response, "context_data", None) or {}
        if (shown := context.get("cl")) is not None:
            context["media"] += self.tree_media(shown)
            context["ways_up"] = ways_up(shown.shown_parent)
            context["may_move"] = self.has_change_permission(request)
        return response

    def tree_media(self, shown: CategoryChangeList) -> forms.Media:
        """Return mptt's own script, with only the rows of this page."""
        children: dict[str, list[int]] = {}
        for category in shown.result_list:
            children.setdefault(str(category.parent_id), []).append(category.pk)
        context = {
            "storageName": "tree_catalog_category_collapsed",
            "treeStructure": children,
            "levelIndent": self.mptt_level_indent,
            "messages": {
                "before": gettext("before"),
                "child": gettext("below"),
                "after": gettext("after"),
                "collapseTree": gettext("Collapse all"),
                "expandTree": gettext("Expand all"),
            },
            "expandTreeByDefault": True,
        }
        script = Script(
            "mptt/draggable-admin.js",
            id="draggable-admin-context",
            **{"data-context": json.dumps(context)},
        )
        return forms.Media(
            css={"all": ["mptt/draggable-admin.css"]},
            js=[
                "admin/js/vendor/jquery/jquery.js",
                "admin/js/jquery.init.js",
                script,
                "catalog/category_tree.js",
            ],
        )

    def move_dropped(self, request: HttpRequest) -> HttpResponse:
        """Move a category to where it was dropped. The page reloads and shows the message."""
        found = {}
        for name in ("cut_item", "pasted_on"):
            key = key_of(request.POST.get(name, ""))
            found[name] = None if key is None else self.get_queryset(request).filter(pk=key).first()
        cut, target, side = found["cut_item"], found["pasted_on"], request.POST.get("position")
        if cut is None or target is None or cut.tenant_id != target.tenant_id:
            return self._refuse_move(request, _("One of these categories is gone. Nothing was moved."), 404)
        if side not in ("left", "right", "last-child"):
            return self._refuse_move(request, _("Nothing was moved: the place is not clear."), 400)
        if not self.has_change_permission(request, cut):
            return self._refuse_move(request, _("You may not move categories."), 403)
        parent = target if side == "last-child" else target.parent
        try:
            with contention_as_refusal():
                if not is_confirmed(request) and cut.get_descendant_count() and parent.pk != cut.parent_id:
                    return self._ask_before_move(request, cut, None if parent.level == 0 else parent)
                moved = move_category_beside(
                    tenant_id=cut.tenant_id,
                    category_id=cut.external_id,
                    target_id=target.external_id,
                    side=side,
                    at=timezone.now(),
                    expected_version=key_of(request.POST.get("version", "")),
                )
        except Unavailable as busy:
            return self._refuse_move(request, refusal_text(busy), 503)
        except DomainError as refused:
            return self._refuse_move(request, refusal_text(refused), 400)
        message_with_undo(request, gettext("Moved {category}.").format(category=moved))
        if is_confirmed(request):
            return HttpResponseRedirect(request.get_full_path())
        return HttpResponse("Moved.")

    def _ask_before_move(
        self, request: HttpRequest, category: Category, parent: Category | None
    ) -> TemplateResponse:
        """Return the question that the page shows before a whole subtree is moved."""
        text = (
            gettext("Move {category} below {parent}?").format(category=category, parent=parent)
            if parent
            else gettext("Make {category} a root category?").format(category=category)
        )
        context = {
            "title": text,
            "facts": category_effects(request, [category], "MOVE", parent),
            "repeated": list(repeated_values(request)),
            "version": category.version,
        }
        page = TemplateResponse(request, "admin/catalog/category/move_question.html", context)
        page["X-Question"] = "1"
        return page

    def _refuse_move(self, request: HttpRequest, text: Text, status: int) -> HttpResponse:
        self.message_user(request, text, messages.ERROR)
        if is_confirmed(request):  # by the form of the question, and not by the script of the drop
            return HttpResponseRedirect(request.get_full_path())
        return HttpResponse(text, status=status, content_type="text/plain")

    # --- columns ---

    def get_list_display(self, request: HttpRequest) -> Columns:
        """Hide drag handles and "Add below" from users without the permission."""
        columns = list(super().get_list_display(request))
        if not self.has_change_permission(request):
            columns[columns.index("tree_actions")] = "tree_node"
        if not self.has_add_permission(request):
            columns.remove("add_below")
        return columns

    @admin.display(description="")
    def tree_actions(self, category: Category) -> SafeString:
        return format_html('<div class="drag-handle"></div>{}', self.tree_node(category))

    @admin.display(description="")
    def tree_node(self, category: Category) -> SafeString:
        """What opens and closes the rows below."""
        place = '<div class="tree-node" data-pk="{}" data-level="{}"></div>'
        return format_html(place, category.pk, category.level - 1)

    @admin.display(description=_("Category"))
    def indented_title(self, category: Category) -> SafeString:
        indents = format_html_join("", '<span class="{}"></span>', [["indent"]] * (category.level - 1))
        return format_html("<div>{}{}</div>", indents, category)

    @admin.display(description=_("Below"))
    def below(self, category: Category) -> object:
        """How many categories are below, as a link to the next level."""
        number = category.get_descendant_count()
        if not number:
            return ""
        return format_html('<a href="?{}={}">{}</a>', PARENT, category.pk, exact_count(number))

    @admin.display(description=_("Products"))
    def assigned(self, category: Category) -> SafeString:
        return format_html(
            '<a href="{}">{}</a>', assignments_page(category), shown_count(category.assigned_count)
        )

    @admin.display(description="")
    def add_below(self, category: Category) -> SafeString:
        query = urlencode({"parent_category": category.pk, "tenant": category.tenant_id})
        page = reverse("admin:catalog_category_add")
        return format_html('<a href="{}?{}">{}</a>', page, query, gettext("Add below"))

    # --- forms ---

    def get_readonly_fields(self, request: HttpRequest, obj: object = None) -> Names:
        fields = super().get_readonly_fields(request, obj)
        return [*fields, "type"] if obj is not None else fields

    @admin.display(description=_("Parent"))
    def parent_category(self, category: Category) -> str:
        """The parent as users without the change permission see it; for others it is a field of the form."""
        return self.shown("" if category.parent is None or category.is_root else category.parent.path_text)

    @admin.display(description=_("External numbers"))
    def numbers(self, category: Category) -> str:
        """The numbers as users without the change permission see them; for others they are a form field."""
        return self.shown("\n".join(number.value for number in category.numbers.all()))

    def related_links(self, request: HttpRequest, obj: Category) -> list[dict[str, object]]:
        counted = Category.objects.filter(pk=obj.pk).annotate(number=CappedCount(assignments_of_row())).get()
        below = reverse(CHANGELIST) + f"?{PARENT}={obj.pk}"
        return [
            {"url": assignments_page(obj), "text": _("Products"), "note": shown_count(counted.number)},
            {"url": below, "text": _("Subcategories"), "note": exact_count(obj.get_descendant_count())},
        ]

    def save_model(self, request: HttpRequest, obj: Category, form: CategoryForm, change: bool) -> None:
        at = timezone.now()
        question = self._question(request, obj, form) if change and not is_confirmed(request) else None
        if change:
            saved = edit_category(
                tenant_id=obj.tenant_id, external_id=obj.external_id, edit=lambda _: form.body, at=at
            )
        else:
            saved = create_category(tenant_id=obj.tenant_id, body=form.body, at=at)
        if question is not None:  # only now: what is refused anyway needs no question
            raise question
        adopt(obj, Category.objects.get(pk=saved.pk))

    def _question(self, request: HttpRequest, obj: Category, form: CategoryForm) -> ConfirmationNeeded | None:
        """Return the question before a subtree is moved, or something is taken from shoppers."""
        stored = Category.objects.select_related("parent", "tenant").get(pk=obj.pk)
        entered = form.cleaned_data
        facts: list[Fact] = []
        if "parent_category" in form.changed_data:
            facts += category_effects(request, [stored], "MOVE", entered["parent_category"])
        moves_subtree = bool(facts) and stored.get_descendant_count() > 0
        if stored.is_published and entered.get("is_published") is False:
            facts += category_effects(request, [stored], "UNPUBLISH", None)
        if moves_subtree or any(fact.is_loss for fact in facts):
            return ConfirmationNeeded(gettext("Save “{name}”?").format(name=stored), facts)
        return None

    # --- deletion and actions ---

    def get_deleted_objects(self, objs: QuerySet | Sequence[Model], request: HttpRequest) -> Any:
        """Return what goes along, descendants included: deleting a category deletes its whole subtree."""
        chosen = Category.objects.filter(pk__in=[category.pk for category in objs])
        whole = Category.objects.get_queryset_descendants(chosen, include_self=True)
        names, counts, lacking, protected = super().get_deleted_objects(whole, request)
        own = {str(self.opts.verbose_name), str(self.opts.verbose_name_plural)}
        # what hangs below goes too, and protects nothing
        return names, counts, lacking, [one for one in protected if one[0] not in own]

    @admin.action(description=_("Publish selected categories"), permissions=["change"])
    def publish(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        return self._set_published(request, queryset, is_published=True)

    @admin.action(description=_("Unpublish selected categories"), permissions=["change"])
    def unpublish(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        return self._set_published(request, queryset, is_published=False)

    def _set_published(
        self, request: HttpRequest, queryset: QuerySet, *, is_published: bool
    ) -> HttpResponse | None:
        """Ask before something is taken from shoppers, then publish or unpublish the categories."""
        changing = list(queryset.exclude(is_published=is_published))
        tenants = {category.tenant_id for category in changing}
        if changing and not is_confirmed(request) and len(tenants) == 1:
            facts = category_effects(request, changing, "PUBLISH" if is_published else "UNPUBLISH", None)
            if any(fact.is_loss for fact in facts):
                return self._ask_before_publication(request, changing, facts)
        number = 0
        for tenant_id in tenants:
            number += publish_categories(
                tenant_id=tenant_id,
                category_ids=[category.pk for category in changing if category.tenant_id == tenant_id],
                is_published=is_published,
                at=timezone.now(),
                versions=read_versions(request),
            )
        text = (
            ngettext("Published {number} category.", "Published {number} categories.", number)
            if is_published
            else ngettext("Unpublished {number} category.", "Unpublished {number} categories.", number)
        )
        message_of_number(request, text, number)
        return None

    def _ask_before_publication(
        self, request: HttpRequest, changing: list[Category], facts: list[Fact]
    ) -> HttpResponse:
        is_single = len(changing) == 1
        named = str(changing[0]) if is_single else gettext("{number} categories").format(number=len(changing))
        needed = ConfirmationNeeded(
            gettext("Unpublish {named}?").format(named=named), facts, button=gettext("Unpublish")
        )
        return confirmation_page(
            self,
            request,
            needed,
            template="admin/confirm_rows.html",
            rows=changing,
            object=changing[0] if is_single else None,
            versions={category.external_id: category.version for category in changing},
            back=request.get_full_path(),
        )
