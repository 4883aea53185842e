from typing import Any

from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.db.models import Model, Q, QuerySet
from django.db.models.expressions import RawSQL
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from catalog.models import Category
from catalog.subtrees import subtrees
from core.admin.declared import Text
from core.admin.filters import LinkedFilter, visible_rows
from core.admin.keys import key_of
from core.imports.models import ImportRun
from core.journal.words import occasion_of, person_of
from core.sql.composition import Sql
from core.windows import window_contains
from segments.additions import NAMELESS, Addition, added_by, added_on, keep_added, recent_additions
from segments.effects import MOST_SEGMENTS
from segments.models import Segment

MOST_CATEGORIES = 400
MOST_NAMED = 5


class EffectiveFilter(admin.SimpleListFilter):
    """Segments by what they do at this moment."""

    title = _("effect")
    parameter_name = "effect"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, Text]]:
        return [
            ("now", _("Live now")),
            ("later", _("Starts later")),
            ("over", _("Over")),
            ("off", _("Inactive")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        now = timezone.now()
        match self.value():
            case "now":
                return queryset.filter(window_contains(now), status="ACTIVE")
            case "later":
                return queryset.filter(valid_from__gt=now, status="ACTIVE")
            case "over":
                return queryset.filter(valid_to__lt=now, status="ACTIVE")
            case "off":
                return queryset.exclude(status="ACTIVE")
        return queryset


class CountsNowFilter(admin.SimpleListFilter):
    """Assignments by whether their own window and their segment let them count at this moment."""

    title = _("counts now")
    parameter_name = "counts"

    def __init__(
        self, request: HttpRequest, params: dict[str, str], model: type[Model], model_admin: Any
    ) -> None:
        self.segment: Segment | None = model_admin.segment_of_list(request)
        super().__init__(request, params, model, model_admin)

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, Text]]:
        return [("yes", _("Yes")), ("no", _("No"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        now = timezone.now()
        is_closed = Q(valid_from__gt=now) | Q(valid_to__lt=now)
        if self.segment is not None and self.value() in ("yes", "no"):
            # Of one segment it is known whether it counts, which spares asking so of each member.
            if not Segment.objects.effective_at(now).filter(pk=self.segment.pk).exists():
                return queryset.none() if self.value() == "yes" else queryset
            return queryset.filter(window_contains(now) if self.value() == "yes" else is_closed)
        effective = Segment.objects.effective_at(now).values("pk")
        match self.value():
            case "yes":
                return queryset.filter(window_contains(now), segment__in=effective)
            case "no":
                return queryset.filter(is_closed | ~Q(segment__in=effective))
        return queryset


class SegmentsFilter(LinkedFilter):
    """Members or items of one of the segments that a link names by their keys."""

    title = _("segments")
    parameter_name = "segments"

    def keys(self, value: str) -> list[int]:
        keys = (key_of(text) for text in value.split(",")[:MOST_SEGMENTS])
        return [key for key in keys if key is not None]

    def chosen_text(self, value: str, request: HttpRequest, model_admin: ModelAdmin) -> str:
        rows = visible_rows(Segment, request, model_admin).filter(pk__in=self.keys(value))
        names = [str(segment) for segment in rows[: MOST_NAMED + 1]]
        return ", ".join(names[:MOST_NAMED]) + (" …" if len(names) > MOST_NAMED else "")

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        value = self.value()
        return queryset.filter(segment__in=self.keys(value)) if value else queryset


class BelowFilter(LinkedFilter):
    """Items that are categories which a link names by their keys, or are below these."""

    title = _("in")
    parameter_name = "below"

    def keys(self, value: str) -> list[int]:
        keys = (key_of(text) for text in value.split(",")[:MOST_CATEGORIES])
        return [key for key in keys if key is not None]

    def chosen_text(self, value: str, request: HttpRequest, model_admin: ModelAdmin) -> str:
        rows = visible_rows(Category, request, model_admin).filter(pk__in=self.keys(value))
        return ", ".join(map(str, rows[:MOST_NAMED]))

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if not (keys := self.keys(self.value() or "")):
            return queryset
        below = subtrees(keys)
        # text from the code; values are parameters
        return queryset.filter(category__in=RawSQL(f"({below.sql})", below.params))  # noqa: S611


class ForCompaniesFilter(admin.SimpleListFilter):
    """Members by whether they count only while they act for a company."""

    title = _("membership")
    parameter_name = "company"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, Text]]:
        return [("no", _("Themselves")), ("yes", _("For a company"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if self.value() not in ("yes", "no"):
            return queryset
        return queryset.filter(legal_entity__isnull=self.value() == "no")


class ItemTypeFilter(admin.SimpleListFilter):
    title = _("type")
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, Text]]:
        return [("PRODUCT", _("Products")), ("CATEGORY", _("Categories"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        match self.value():
            case "PRODUCT":
                return queryset.filter(product__isnull=False)
            case "CATEGORY":
                return queryset.filter(category__isnull=False)
        return queryset


def adder_of(addition: Addition, request: HttpRequest) -> str:
    """Say who added something: the reader is "you"."""
    user = request.user
    if addition.actor_type == "staff" and addition.actor_id == user.get_username():
        return gettext("you")
    return person_of(addition)


class AdditionFilter(admin.SimpleListFilter):
    """Members or items of one segment by how they were added; offered to users who may see the journal."""

    def __init__(
        self, request: HttpRequest, params: dict[str, str], model: type[Model], model_admin: Any
    ) -> None:
        user = request.user
        self.segment: Segment | None = None
        if user.has_perm("journal.view_change") and hasattr(model_admin, "segment_of_list"):
            self.segment = model_admin.segment_of_list(request)
        super().__init__(request, params, model, model_admin)

    def recent(self, request: HttpRequest, model_admin: Any) -> list[Addition]:
        """Return what was added lately to the segment of the list; read once for a request."""
        if self.segment is None:
            return []
        known: list[Addition] | None = getattr(request, "recent_additions", None)
        if known is None:
            known = recent_additions(model_admin.model, self.segment.tenant_id, self.segment.pk)
            request.recent_additions = known  # type: ignore[attr-defined]
        return list(known)

    def has_output(self) -> bool:
        return self.segment is not None or bool(self.value())

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        value = self.value()
        if not value:
            return queryset
        if self.segment is None:
            return queryset.none()
        return keep_added(
            queryset,
            tenant_id=self.segment.tenant_id,
            segment_id=self.segment.pk,
            chosen=self.condition(*value.partition(":")[::2]),
        )

    def condition(self, kind: str, name: str) -> Sql:
        raise NotImplementedError


class AddedByFilter(AdditionFilter):
    title = _("added by")
    parameter_name = "by"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, Text]]:
        found = {
            f"{one.actor_type}:{one.actor_id}": adder_of(one, request)
            for one in self.recent(request, model_admin)
        }
        return list(found.items())

    def condition(self, kind: str, name: str) -> Sql:
        return added_by(kind, name)


class SourceFilter(AdditionFilter):
    title = _("source")
    parameter_name = "source"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, Text]]:
        recent = self.recent(request, model_admin)
        keys = [one.import_key for one in recent if one.import_key is not None]
        files = dict(ImportRun.objects.filter(pk__in=keys).values_list("pk", "file_name")) if keys else {}
        found = {}
        for one in recent:
            text = occasion_of(one) or gettext("unknown")
            if file_name := files.get(one.import_key or 0):
                text = f"{text}: {file_name}"
            found[f"{one.source_type}:{one.source_id}"] = text
        return list(found.items())

    def condition(self, kind: str, name: str) -> Sql:
        return added_on(kind, "" if kind in NAMELESS else name)
