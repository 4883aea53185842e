"""Writing categories. Every operation takes the tenant's tree lock first."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction

from accounts.identity.scopes import CATEGORY_PUBLISH, CATEGORY_UNPUBLISH
from catalog.errors import (
    CategoryExists,
    DuplicatedCode,
    DuplicatedNumber,
    InvalidCategory,
    TreeNotFound,
)
from catalog.models import Category, CategoryNumber
from catalog.operations.category_imports import write_numbers
from catalog.operations.publication import ANY_PUBLICATION, Publication
from catalog.operations.values import check_numbers, check_own_mixins, check_slugs
from catalog.tree import LockedTree, locked_tree
from core.sql.composition import param, sql
from core.sql.fetching import execute
from core.tenancy.documents import check_version

RESERVED_IDS = frozenset({"root", "null", "search", "categoryTree"})
"""Ids that addresses and `parentId` use for something else."""

FIELDS = (
    "code",
    "name",
    "description",
    "slug",
    "position",
    "is_published",
    "valid_from",
    "valid_to",
    "own_classification_mixins",
    "mixins",
    "mixin_schemas",
    "version",
    "modified_at",
)


@dataclass(frozen=True, slots=True)
class CategoryDraft:
    """What a category is to become. Translations are maps of language to text.

    `parent_id` is a wire id, None for a root category. `position` None keeps a category's place, and means
    last among its siblings when it is new or gets another parent. `is_published`, `type` and
    `own_classification_mixins` None keep what is stored (unpublished, STANDARD, none for a new category).
    """

    name: Mapping[str, str]
    parent_id: str | None = None
    description: Mapping[str, str] = field(default_factory=dict)
    slug: Mapping[str, str] = field(default_factory=dict)
    position: int | None = None
    code: str | None = None
    numbers: Sequence[str] = ()
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    is_published: bool | None = None
    type: str | None = None
    own_classification_mixins: Sequence[Mapping[str, Any]] | None = None
    mixins: Mapping[str, Any] = field(default_factory=dict)
    mixin_schemas: Mapping[str, str] = field(default_factory=dict)


@transaction.atomic
def create_category(
    *,
    tenant_id: int,
    external_id: str | None,
    draft: CategoryDraft,
    at: datetime,
    publication: Publication = ANY_PUBLICATION,
) -> Category:
    """Store a new category, below its parent and in its place; its version is 0.

    Raises CategoryExists, ParentNotFound, InvalidCategory, DuplicatedCode, DuplicatedNumber, and MissingScope
    when it is to be published and the writer may not.
    """
    tree = locked_tree(tenant_id)
    if external_id is not None:
        if external_id in RESERVED_IDS:
            raise InvalidCategory(f"Category id '{external_id}' is reserved", field="id")
        if Category.objects.filter(tenant=tenant_id, external_id=external_id).exists():
            raise CategoryExists(external_id)
    return _insert(tree, external_id=external_id, draft=draft, publication=publication, at=at)


@transaction.atomic
def upsert_category(
    *,
    tenant_id: int,
    external_id: str,
    draft: CategoryDraft,
    at: datetime,
    expected_version: int | None = None,
    publication: Publication = ANY_PUBLICATION,
) -> bool:
    """Replace the category, or create it with this id; say whether it was created.

    Raises what `create_category` and `edit_category` raise, except CategoryNotFound and CategoryExists.
    """
    tree = locked_tree(tenant_id)
    category = Category.objects.filter(tenant=tenant_id, external_id=external_id).first()
    if category is None:
        if external_id in RESERVED_IDS:
            raise InvalidCategory(f"Category id '{external_id}' is reserved", field="id")
        _insert(tree, external_id=external_id, draft=draft, publication=publication, at=at)
        return True
    check_version(category, expected_version)
    _replace(tree, category, draft=draft, publication=publication, at=at)
    return False


@transaction.atomic
def edit_category(
    *,
    tenant_id: int,
    external_id: str,
    edit: Callable[[Category], tuple[CategoryDraft, int | None]],
    at: datetime,
    publication: Publication = ANY_PUBLICATION,
) -> Category:
    """Change the category to what `edit` makes of the stored one.

    `edit` is called under the lock and returns the draft and the version that the writer expects, if any.
    Raises CategoryNotFound, VersionConflict, WouldCreateCycle, ParentNotFound, InvalidCategory,
    DuplicatedCode, DuplicatedNumber and MissingScope.
    """
    tree = locked_tree(tenant_id)
    category = tree.category(external_id)
    draft, expected_version = edit(category)
    check_version(category, expected_version)
    _replace(tree, category, draft=draft, publication=publication, at=at)
    return category


def locked_version(*, tenant_id: int, external_id: str) -> int | None:
    """Take the tree lock and return the category's version; None when there is none."""
    locked_tree(tenant_id)
    category = Category.objects.filter(tenant=tenant_id, external_id=external_id)
    return category.values_list("version", flat=True).first()


@transaction.atomic
def delete_category(*, tenant_id: int, external_id: str, with_subcategories: bool) -> None:
    """Delete the category and what refers to it; raise CategoryNotFound.

    Its descendants go too, or else its children become root categories and their subtrees stay whole.
    """
    tree = locked_tree(tenant_id)
    category = tree.category(external_id)
    if with_subcategories:
        tree.delete(category)
    else:
        tree.delete_only([category.pk])


@transaction.atomic
def delete_categories(*, tenant_id: int, category_ids: Sequence[int]) -> None:
    """Delete the categories of these keys with all their descendants, and what refers to them."""
    locked_tree(tenant_id).delete_all(category_ids)


@transaction.atomic
def delete_categories_only(*, tenant_id: int, external_ids: Sequence[str]) -> set[str]:
    """Delete the categories of these ids and return which there were.

    Their children become root categories, whose subtrees stay whole. The number of statements does not
    depend on the number of categories.
    """
    tree = locked_tree(tenant_id)
    stored = Category.objects.filter(tenant=tenant_id, external_id__in=external_ids).order_by()
    keys = dict(stored.values_list("external_id", "pk"))
    tree.delete_only(list(keys.values()))
    return set(keys)


@transaction.atomic
def move_category_beside(
    *, tenant_id: int, category_id: str, target_id: str, side: str, at: datetime
) -> Category:
    """Hang the category where a person dropped it: `side` is left, right, first-child or last-child.

    Positions of the siblings that follow are raised as far as its place needs. Raises CategoryNotFound,
    and WouldCreateCycle for a target inside the category's own subtree.
    """
    tree = locked_tree(tenant_id)
    category, target = tree.category(category_id), tree.category(target_id)
    if category.pk == target.pk:
        raise InvalidCategory("A category cannot be moved beside itself", field="target")
    if side in ("left", "right"):
        parent = Category.all_nodes.get(pk=target.parent_id)
        raised = tree.place_beside(category, target=target, side=side)
    else:
        parent, raised = target, []
        first = None
        if side == "first-child":
            children = Category.objects.filter(tenant=tenant_id, parent=target.pk).exclude(pk=category.pk)
            first = children.order_by("lft").first()
        if first is None:
            category.position = tree.last_position(target, without=category)
        else:
            raised = tree.place_beside(category, target=first, side="left")
    category.version += 1
    category.modified_at = at
    tree.update(category, parent=parent, fields=("position", "version", "modified_at"))
    if raised:
        _count_versions_up(raised, at)
    return category


@transaction.atomic
def publish_categories(
    *, tenant_id: int, category_ids: Sequence[int], is_published: bool, at: datetime
) -> int:
    """Publish (or unpublish) the categories of these keys; say how many changed."""
    locked_tree(tenant_id)
    return execute(
        sql(
            "UPDATE catalog_category SET is_published = {is_published}, version = version + 1,"
            " modified_at = {at} WHERE tenant_id = {tenant} AND id = ANY({keys})"
            " AND parent_id IS NOT NULL AND is_published <> {is_published}",
            is_published=param(is_published),
            at=param(at),
            tenant=param(tenant_id),
            keys=param(list(category_ids)),
        )
    )


@transaction.atomic
def rebuild_tree(*, tenant_id: int, root_id: str) -> int:
    """Compute the tree columns of the tenant's forest anew; say how many categories stood wrong.

    Raises TreeNotFound when there is no root category of this id. The whole forest is placed, since its
    trees share one numbering.
    """
    tree = locked_tree(tenant_id)
    if not Category.objects.filter(tenant=tenant_id, external_id=root_id, parent=tree.root.pk).exists():
        raise TreeNotFound(root_id)
    return tree.place_forest()


def _insert(
    tree: LockedTree,
    *,
    external_id: str | None,
    draft: CategoryDraft,
    publication: Publication,
    at: datetime,
) -> Category:
    parent = tree.parent(draft.parent_id)
    category = Category(
        tenant_id=tree.tenant_id,
        type=draft.type or "STANDARD",
        version=0,
        created_at=at,
        **({"external_id": external_id} if external_id is not None else {}),
    )
    position = tree.last_position(parent) if draft.position is None else draft.position
    _apply(category, draft, position=position, publication=publication, at=at)
    tree.insert(category, parent=parent)
    if draft.numbers:
        write_numbers(tree.tenant_id, [(category.pk, draft.numbers)])
    return category


def _replace(
    tree: LockedTree, category: Category, *, draft: CategoryDraft, publication: Publication, at: datetime
) -> None:
    parent = category if draft.parent_id == category.external_id else tree.parent(draft.parent_id)
    if draft.type not in (None, category.type):
        raise InvalidCategory("The type of a category cannot be changed", field="type")
    if draft.position is not None:
        position = draft.position
    elif parent.pk == category.parent_id:
        position = category.position
    else:
        position = tree.last_position(parent)
    _apply(category, draft, position=position, publication=publication, at=at)
    category.version += 1
    tree.update(category, parent=parent, fields=FIELDS)
    write_numbers(tree.tenant_id, [(category.pk, draft.numbers)])


def _apply(
    category: Category, draft: CategoryDraft, *, position: int, publication: Publication, at: datetime
) -> None:
    """Check the rules that one category's own values must keep, and set the values."""
    will_be_published = category.is_published if draft.is_published is None else draft.is_published
    refusal = publication.refusal(
        category.is_published, will_be_published, publish=CATEGORY_PUBLISH, unpublish=CATEGORY_UNPUBLISH
    )
    if refusal:
        raise refusal
    check_slugs(draft.slug)
    category.name = dict(draft.name)
    category.description = dict(draft.description)
    category.slug = dict(draft.slug)
    category.position = position
    category.code = draft.code
    category.is_published = will_be_published
    category.valid_from, category.valid_to = draft.valid_from, draft.valid_to
    if draft.own_classification_mixins is not None:
        category.own_classification_mixins = check_own_mixins(draft.own_classification_mixins)
    category.mixins = dict(draft.mixins)
    category.mixin_schemas = dict(draft.mixin_schemas)
    category.modified_at = at
    if not category.code and (category.type == "CLASSIFICATION" or category.own_classification_mixins):
        raise InvalidCategory("A category of type CLASSIFICATION needs a code", field="code")
    _check_uniqueness(category, check_numbers(draft.numbers))


def _check_uniqueness(category: Category, numbers: Sequence[str]) -> None:
    """Raise DuplicatedCode or DuplicatedNumber. The tree lock keeps the answer true until commit."""
    others = Category.objects.filter(tenant=category.tenant_id).exclude(pk=category.pk)
    if category.code and others.filter(code__iexact=category.code).exists():
        raise DuplicatedCode(category.code)
    taken = CategoryNumber.objects.filter(tenant=category.tenant_id, value__in=numbers).exclude(
        category=category.pk
    )
    if numbers and (found := sorted(taken.values_list("value", flat=True))):
        raise DuplicatedNumber(found)


def _count_versions_up(keys: Sequence[int], at: datetime) -> None:
    execute(
        sql(
            "UPDATE catalog_category SET version = version + 1, modified_at = {at} WHERE id = ANY({keys})",
            at=param(at),
            keys=param(list(keys)),
        )
    )
