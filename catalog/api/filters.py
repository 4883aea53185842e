"""The filters of the lists of categories and of what is assigned to a category."""

from django.db.models import Q

from catalog.models import Category, CategoryAssignment, CategoryNumber, CategoryQuerySet
from core.api.filters import DayFilter, FlagFilter, ListFilterSet, ReferenceFilter, TextFilter
from core.representation.fields import Languages
from core.sql.composition import Sql, param, sql

LONGEST_PART = 500


class CategoryFilters(ListFilterSet):
    """Days and instants are exclusive. `languages` are those in which texts are looked for."""

    languages: Languages

    code = TextFilter(lookup_expr="iexact", max_length=200, description="The whole code, in any case.")
    ecn = TextFilter(method="with_number", max_length=128, description="A whole external category number.")
    localized_name = TextFilter(
        field_name="name",
        method="any_translation",
        max_length=LONGEST_PART,
        description="A part of the name, in any case, in the accepted languages (else in all).",
    )
    localized_description = TextFilter(
        field_name="description",
        method="any_translation",
        max_length=LONGEST_PART,
        description="A part of the description, as `localizedName`.",
    )
    localized_slug = TextFilter(
        field_name="slug",
        method="any_translation",
        max_length=LONGEST_PART,
        description="A part of the slug, as `localizedName`.",
    )
    validity_from = DayFilter(
        field_name="valid_from",
        lookup_expr="gt",
        description="Categories whose validity begins after this day (or instant).",
    )
    validity_to = DayFilter(
        field_name="valid_to",
        lookup_expr="lt",
        description="Categories whose validity ends before this day (or instant).",
    )
    metadata_modified_at = DayFilter(
        field_name="modified_at",
        lookup_expr="gt",
        description="Categories that changed after this day (or instant).",
    )
    show_roots = FlagFilter(condition="only_roots", description="Show only root categories.")

    class Meta:
        model = Category
        alias = "category"
        fields = ()

    def with_number(self, queryset: CategoryQuerySet, name: str, value: str) -> CategoryQuerySet:
        numbers = CategoryNumber.objects.filter(tenant=self.tenant.id, value=value)
        return queryset.filter(pk__in=numbers.values("category"))

    def any_translation(self, queryset: CategoryQuerySet, name: str, value: str) -> CategoryQuerySet:
        condition = Q()
        for language in self.languages.accepted or self.tenant.languages:
            condition |= Q(**{f"{name}__{language}__icontains": value})
        return queryset.filter(condition)

    def only_roots(self, value: bool) -> Sql | None:
        """Name the hidden root by its key: so PostgreSQL expects few rows."""
        if not value:
            return None
        return sql(
            "category.parent_id ="
            " (SELECT id FROM catalog_category WHERE tenant_id = {tenant} AND parent_id IS NULL)",
            tenant=param(self.tenant.id),
        )


class AssignmentFilters(ListFilterSet):
    """Narrows what is assigned to a category by its product."""

    languages: Languages

    product = ReferenceFilter(parameter="ref.id", description="Only the assignment of this product.")
    product_name = TextFilter(
        parameter="ref.localizedName",
        condition="name_contains",
        needs=("product",),
        description="A part of the product's name, in the accepted languages.",
    )
    hide_unpublished_products = FlagFilter(
        condition="published", needs=("product",), description="Leave out products that are not published."
    )

    class Meta:
        model = CategoryAssignment
        alias = "assignment"
        fields = ()

    def name_contains(self, part: str) -> Sql:
        """Return the condition that the product's name has the part, in a language that the caller reads."""
        name = Sql("product.name")
        if self.languages.accepted is not None:
            name = sql(
                "cut_translations(product.name, {accepted}, {default})",
                accepted=param(list(self.languages.accepted), "text[]"),
                default=param(self.languages.default),
            )
        return sql(
            "EXISTS (SELECT 1 FROM jsonb_each_text({name}) AS translation"
            " WHERE strpos(lower(translation.value), lower({part})) > 0)",
            name=name,
            part=param(part, "text"),
        )

    def published(self, value: bool) -> Sql | None:
        return Sql("product.is_published") if value else None
