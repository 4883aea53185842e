"""Products, the category forest, and which products are in which categories."""

from collections.abc import Iterable
from typing import Any, ClassVar, NoReturn, Self

from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.utils import timezone
from mptt.managers import TreeManager
from mptt.models import MPTTModel, TreeForeignKey
from mptt.querysets import TreeQuerySet

from core.search import search_words, translations_of
from core.tenancy.documents import DocumentQuerySet, TenantDocument, TenantOwned
from core.tenancy.foreign_keys import SameTenantReference, TenantForeignKey
from core.tenancy.identifiers import UNREACHABLE_IDS, generate_id
from core.windows import opens_before_it_closes

SEARCHED_FIELDS = ("external_id", "code", translations_of("name"))


class Product(TenantDocument):
    """Something a shop sells. `name` and `description` map languages to texts."""

    reserved_ids = UNREACHABLE_IDS | {"bulk", "search"}

    code = models.CharField(max_length=200, null=True, blank=True)
    name = models.JSONField(default=dict)
    description = models.JSONField(default=dict, blank=True)
    is_published = models.BooleanField("published", default=False)
    product_type = models.CharField(max_length=40, default="BASIC", editable=False)
    details = models.JSONField(
        default=dict, blank=True, help_text="Tax classes, related items and other attributes kept unchanged."
    )

    class Meta:
        ordering = ("id",)
        indexes = [GinIndex(search_words(*SEARCHED_FIELDS), name="product_words")]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "external_id"], name="product_id_unique"),
            models.UniqueConstraint(fields=["tenant", "code"], name="product_code_unique"),
            models.UniqueConstraint(fields=["tenant", "id"], name="product_tenant_key"),
        ]

    def __str__(self) -> str:
        return self.titled(self.name)


HIDDEN_ROOT_ID = "/"  # no client id can hold a slash

STRUCTURE = frozenset({"parent", "parent_id", "position", "name", "lft", "rght", "tree_id", "level"})
"""What places a category in the tree. The name counts, since it orders siblings of one position."""


class DirectTreeWriteError(TypeError):
    """Some code tries to write the category tree without `catalog.tree`."""

    def __init__(self) -> None:
        super().__init__("Only catalog.tree writes the category tree; see docs/category-tree.md.")


class CategoryQuerySet(DocumentQuerySet, TreeQuerySet):
    """Reads of categories. What would write past `catalog.tree` is refused."""

    def visible(self) -> Self:
        """Leave out the hidden root of each tenant, which no entry point ever shows."""
        return self.filter(parent__isnull=False)

    def published(self) -> Self:
        """Keep the categories that are published themselves, whatever is above them."""
        return self.filter(is_published=True)

    def roots(self) -> Self:
        """Keep the root categories: the children of their tenant's hidden root."""
        return self.filter(parent__parent__isnull=True, parent__tenant=F("tenant"))

    def update(self, **changes: object) -> int:
        if STRUCTURE & changes.keys():
            raise DirectTreeWriteError
        return super().update(**changes)

    def delete(self) -> NoReturn:
        raise DirectTreeWriteError

    delete.queryset_only = True  # type: ignore[attr-defined]

    def bulk_create(self, *rows: object, **options: object) -> NoReturn:
        raise DirectTreeWriteError

    def bulk_update(
        self, objs: Iterable[object], fields: Iterable[str], batch_size: int | None = None
    ) -> int:
        fields = list(fields)
        if STRUCTURE & set(fields):
            raise DirectTreeWriteError
        return super().bulk_update(objs, fields, batch_size)


class AllNodesManager(TreeManager.from_queryset(CategoryQuerySet)):  # type: ignore[misc]
    """Every node, the hidden roots included. What mptt would write by itself is refused."""

    def refuse(self, *arguments: object, **options: object) -> NoReturn:
        raise DirectTreeWriteError

    insert_node = move_node = rebuild = partial_rebuild = build_tree_nodes = refuse


class CategoryManager(AllNodesManager):
    """The categories that clients may know of: all but the hidden roots."""

    def get_queryset(self) -> CategoryQuerySet:
        return super().get_queryset().visible()


class Category(MPTTModel, TenantDocument):
    """A category of a tenant's forest.

    The forest hangs below one hidden root node per tenant, so a root category is a child of that node
    (level 1) and `tree_id` is the tenant's key. `lft`, `rght`, `tree_id`, `level` and `parent` are written
    only by `catalog.tree`. Siblings are in the order of `position`, then name, in `lft` too.
    """

    reserved_ids = UNREACHABLE_IDS | {"bulk", "categoryTree", "null", "root", "search"}

    parent = TreeForeignKey(
        "self",
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        null=True,
        blank=True,
        related_name="children",
    )
    type = models.CharField(
        max_length=14,
        choices=[("STANDARD", "Standard"), ("CLASSIFICATION", "Classification")],
        default="STANDARD",
    )
    code = models.CharField(max_length=200, null=True, blank=True)
    name = models.JSONField(default=dict)
    description = models.JSONField(default=dict, blank=True)
    slug = models.JSONField(default=dict, blank=True)
    position = models.IntegerField(default=0)
    is_published = models.BooleanField("published", default=False)
    valid_from = models.DateTimeField(null=True, blank=True)
    valid_to = models.DateTimeField(null=True, blank=True)
    own_classification_mixins = models.JSONField(default=list, blank=True)

    # Of a category that `LockedTree.find` has read:
    stored_numbers: list[str]  # the external numbers in their order
    stored_parent: str | None  # the id of the category above; None for a root category

    objects: ClassVar[Any] = CategoryManager()
    all_nodes = AllNodesManager()

    class Meta:
        ordering = ("tree_id", "lft")
        verbose_name_plural = "categories"
        base_manager_name = "all_nodes"
        indexes = [
            models.Index(fields=["tree_id", "lft"], name="category_tree_order"),
            models.Index(fields=["tenant", "parent"], name="category_children"),
            GinIndex(search_words(*SEARCHED_FIELDS), name="category_words"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "external_id"], name="category_id_unique"),
            models.UniqueConstraint(fields=["tenant", "id"], name="category_tenant_key"),
            models.UniqueConstraint("tenant", Lower("code"), name="category_code_unique"),
            models.UniqueConstraint(
                fields=["tenant"], condition=Q(parent__isnull=True), name="category_one_hidden_root"
            ),
            models.CheckConstraint(condition=Q(position__gte=0), name="category_position_not_negative"),
            opens_before_it_closes("category_window_opens_before_it_closes"),
            # mptt wants its own TreeForeignKey, so that the constraint is declared here.
            SameTenantReference(field="parent", on_delete="RESTRICT", name="category_parent"),
        ]

    def __str__(self) -> str:
        return self.titled(self.name)

    @property
    def is_root(self) -> bool:
        """Whether clients see no category above this one."""
        return self.level == 1

    @property
    def path_text(self) -> str:
        """The names from the root down to this category, with its id, for people. Reads what is above."""
        above = self.get_ancestors().visible().select_related("tenant")
        names = [str(category).removesuffix(f" ({category.external_id})") for category in above]
        return " > ".join([*names, str(self)])

    def save(self, *arguments: object, **options: Any) -> None:
        """Write fields that do not place the category; anything else goes through `catalog.tree`."""
        fields = options.get("update_fields")
        if arguments or not fields or STRUCTURE & set(fields):
            raise DirectTreeWriteError
        self.save_base(raw=True, force_update=True, update_fields=frozenset(fields))

    def delete(self, *arguments: object, **options: object) -> NoReturn:
        raise DirectTreeWriteError


class CategoryNumber(TenantOwned):
    """An external category number (`ecn`), unique among all categories of a tenant."""

    tenant = models.ForeignKey(
        "tenancy.Tenant", on_delete=models.PROTECT, related_name="+", db_constraint=False
    )
    category = TenantForeignKey(Category, on_delete=models.CASCADE, related_name="numbers", db_index=True)
    value = models.CharField(max_length=128)
    rank = models.PositiveSmallIntegerField(default=0, help_text="Place in the category's list.")

    class Meta:
        ordering = ("rank", "id")
        constraints = [
            models.UniqueConstraint(fields=["tenant", "value"], name="category_number_unique"),
        ]
        indexes = [models.Index(fields=["tenant", "category"], name="category_number_of_category")]

    def __str__(self) -> str:
        return self.value


class CategoryAssignment(TenantOwned):
    """A product in a category.

    Written in bulk, it has no index beside the ones it names: each begins with the tenant.
    """

    tenant = models.ForeignKey(
        "tenancy.Tenant", on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    external_id = models.CharField("id", max_length=128, default=generate_id)
    category = TenantForeignKey(
        "catalog.Category",
        on_delete=models.CASCADE,
        related_name="assignments",
    )
    product = TenantForeignKey(
        "catalog.Product",
        on_delete=models.CASCADE,
        related_name="category_assignments",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("id",)
        indexes = [
            models.Index(fields=["tenant", "product", "category"], name="category_of_product"),
            models.Index(fields=["tenant", "category", "id"], name="assignments_of_category"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "external_id"], name="category_assignment_id_unique"),
            models.UniqueConstraint(
                fields=["tenant", "category", "product"], name="category_assignment_unique"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.product} in {self.category}"
