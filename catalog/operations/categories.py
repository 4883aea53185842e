"""Writing categories, and the rules that hold for every entry point.

Every operation takes the tenant's tree lock first.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec
from django.db import transaction

from accounts.identity.scopes import CATEGORY_PUBLISH, CATEGORY_UNPUBLISH
from catalog.bodies import CategoryBody
from catalog.errors import (
    MOST_CATEGORIES,
    CategoryExists,
    DuplicatedCode,
    DuplicatedNumber,
    InvalidCategory,
    TooManyToPublish,
    TreeNotFound,
)
from catalog.models import STRUCTURE, Category, CategoryNumber
from catalog.subtrees import is_category
from catalog.tree import LockedTree, locked_tree
from core.errors import MissingScope
from core.json_types import JsonObject
from core.sql.composition import bind, param, sql
from core.sql.fetching import execute
from core.tenancy.documents import check_version

OWN_COLUMNS = tuple(
    field.column for field in Category._meta.concrete_fields if hasattr(CategoryBody, field.column)
)
"""The columns of a category that are written from the member of a body that has their name."""

CREATED_ONLY = frozenset({"external_id", "type"})
KEPT_WHEN_ABSENT = frozenset({"position", "own_classification_mixins"})


@dataclass(frozen=True, slots=True)
class Publication:
    """Whether the writer may turn `published` on, and off."""

    may_publish: bool = True
    may_unpublish: bool = True

    def refusal(self, was: bool, becomes: bool, *, publish: str, unpublish: str) -> MissingScope | None:
        """Return the error of a change that the writer may not make, naming the scope that it needs."""
        if becomes and not was and not self.may_publish:
            return MissingScope((publish,))
        if was and not becomes and not self.may_unpublish:
            return MissingScope((unpublish,))
        return None

    def check(self, category: Category, body: CategoryBody) -> None:
        """Raise MissingScope when the body publishes or unpublishes the category and the writer may not."""
        refusal = self.refusal(
            category.is_published, body.is_published, publish=CATEGORY_PUBLISH, unpublish=CATEGORY_UNPUBLISH
        )
        if refusal:
            raise refusal


ANY_PUBLICATION = Publication()


@transaction.atomic
def create_category(
    *,
    tenant_id: int,
    body: CategoryBody,
    at: datetime,
    publication: Publication = ANY_PUBLICATION,
) -> Category:
    """Store a new category below its parent, at its position; its version is 0.

    Raises CategoryExists, ParentNotFound, InvalidCategory, DuplicatedCode, DuplicatedNumber, and MissingScope
    when it is to be published and the writer may not.
    """
    tree = locked_tree(tenant_id)
    stored = Category.objects.filter(tenant=tenant_id, external_id=body.external_id)
    if body.external_id is not None and stored.exists():
        raise CategoryExists(body.external_id)
    return _insert(tree, body, publication=publication, at=at)


@transaction.atomic
def upsert_category(
    *,
    tenant_id: int,
    body: CategoryBody,
    at: datetime,
    publication: Publication = ANY_PUBLICATION,
) -> bool:
    """Replace the category of the body's id, or create it; say whether it was created.

    Raises what `create_category` and `edit_category` raise, except CategoryNotFound and CategoryExists.
    """
    tree = locked_tree(tenant_id)
    category = tree.find(body.external_id)
    if category is None:
        _insert(tree, body, publication=publication, at=at)
        return True
    _replace(tree, category, body, publication=publication, at=at)
    return False


@transaction.atomic
def edit_category(
    *,
    tenant_id: int,
    external_id: str,
    edit: Callable[[Category], CategoryBody],
    at: datetime,
    publication: Publication = ANY_PUBLICATION,
) -> Category:
    """Change the category to what `edit` makes of the stored one.

    `edit` is called under the lock and returns the whole category that is to be stored.
    Raises CategoryNotFound, VersionConflict, WouldCreateCycle, ParentNotFound, InvalidCategory,
    DuplicatedCode, DuplicatedNumber and MissingScope.
    """
    tree = locked_tree(tenant_id)
    category = tree.category(external_id)
    _replace(tree, category, edit(category), publication=publication, at=at)
    return category


def locked_version(*, tenant_id: int, external_id: str) -> int | None:
    """Take the tree lock and return the category's version; None when there is none."""
    locked_tree(tenant_id)
    category = Category.objects.filter(tenant=tenant_id, external_id=external_id)
    return category.values_list("version", flat=True).first()


@transaction.atomic
def delete_category(*, tenant_id: int, external_id: str, with_subcategories: bool) -> None:
    """Delete the category and what refers to it.

    Its descendants go too, or else its children become root categories and their subtrees stay whole. Raises
    CategoryNotFound, TooManyToDelete and CategoriesTooLarge.
    """
    tree = locked_tree(tenant_id)
    category = tree.category(external_id)
    if with_subcategories:
        tree.delete(category)
    else:
        tree.delete_only([category.pk])


@transaction.atomic
def delete_categories(
    *, tenant_id: int, category_ids: Sequence[int], versions: Mapping[str, int] | None = None
) -> None:
    """Delete the categories of these keys with all their descendants, and what refers to them.

    Raises TooManyToDelete, CategoriesTooLarge, and VersionConflict when one of them has another version than
    `versions` names, by id.
    """
    tree = locked_tree(tenant_id)
    _check_versions(tenant_id, category_ids, versions)
    tree.delete_all(category_ids)


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
    *,
    tenant_id: int,
    category_id: str,
    target_id: str,
    side: str,
    at: datetime,
    expected_version: int | None = None,
) -> Category:
    """Move the category to where a person dropped it: `side` is left, right, first-child or last-child.

    Positions of the siblings that follow are raised as far as its place needs. Raises CategoryNotFound,
    VersionConflict, and WouldCreateCycle for a target inside the category's own subtree.
    """
    tree = locked_tree(tenant_id)
    category, target = tree.category(category_id), tree.category(target_id)
    check_version(category, expected_version)
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
    *,
    tenant_id: int,
    category_ids: Sequence[int],
    is_published: bool,
    at: datetime,
    versions: Mapping[str, int] | None = None,
) -> int:
    """Publish (or unpublish) the categories of these keys; say how many changed.

    Raises TooManyToPublish, and VersionConflict when one of them has another version than `versions` names,
    by id.
    """
    if len(category_ids) > MOST_CATEGORIES:
        raise TooManyToPublish
    locked_tree(tenant_id)
    _check_versions(tenant_id, category_ids, versions)
    return execute(
        sql(
            "UPDATE catalog_category AS category SET is_published = {is_published}, version = version + 1,"
            " modified_at = {at} WHERE tenant_id = {tenant} AND id = ANY({keys})"
            " AND {is_category} AND is_published <> {is_published}",
            is_category=is_category("category"),
            is_published=param(is_published),
            at=param(at),
            tenant=param(tenant_id),
            keys=param(list(category_ids)),
        )
    )


@transaction.atomic
def rebuild_tree(*, tenant_id: int, root_id: str) -> int:
    """Compute the tree columns of the tenant's forest anew; return how many categories were wrong.

    Raises TreeNotFound when there is no root category of this id. The whole forest is placed, since its
    trees share one numbering.
    """
    tree = locked_tree(tenant_id)
    if not Category.objects.filter(tenant=tenant_id, external_id=root_id, parent=tree.root.pk).exists():
        raise TreeNotFound(root_id)
    return tree.place_forest()


def _check_versions(tenant_id: int, category_ids: Sequence[int], versions: Mapping[str, int] | None) -> None:
    if versions:
        for category in Category.objects.filter(tenant=tenant_id, pk__in=category_ids):
            check_version(category, versions.get(category.external_id))


def _insert(tree: LockedTree, body: CategoryBody, *, publication: Publication, at: datetime) -> Category:
    category = Category(tenant_id=tree.tenant_id, type=body.type or "STANDARD", version=0, created_at=at)
    category.stored_numbers = []
    if body.external_id is not None:
        check_new_id(body.external_id)
        category.external_id = body.external_id
    publication.check(category, body)
    _apply(category, own_values(body), numbers=body.numbers or [], at=at)
    parent = tree.parent(body.parent)
    if body.position is None:
        category.position = tree.last_position(parent)
    tree.insert(category, parent=parent)
    if body.numbers:
        write_numbers(tree.tenant_id, [(category.pk, body.numbers)])
    return category


def _replace(
    tree: LockedTree, category: Category, body: CategoryBody, *, publication: Publication, at: datetime
) -> None:
    values, numbers = own_values(body), body.numbers or []
    check_version(category, body.expected_version)
    check_type(body.type, stored=category.type)
    publication.check(category, body)
    fields = _apply(category, values, numbers=numbers, at=at)
    category.version += 1
    parent = category if body.parent == category.external_id else tree.parent(body.parent, child=category)
    if body.position is None and parent.pk != category.parent_id:
        category.position = tree.last_position(parent)
        fields.append("position")
    tree.update(category, parent=parent, fields=[*fields, "version"])
    if numbers != category.stored_numbers:
        write_numbers(tree.tenant_id, [(category.pk, numbers)])


def own_values(body: CategoryBody) -> JsonObject:
    """Return what the body says of each of OWN_COLUMNS, as it is stored."""
    values = {name: getattr(body, name) for name in OWN_COLUMNS}
    values["own_classification_mixins"] = msgspec.to_builtins(body.own_classification_mixins)
    return values


def _apply(
    category: Category, values: Mapping[str, object], *, numbers: Sequence[str], at: datetime
) -> list[str]:
    """Set the values that a body has; raise what the category's own rules refuse.

    Returns the fields to store. What places the category is none of them when it is as it was.
    """
    stored_code = category.code
    fields = ["modified_at"]
    for name, value in values.items():
        is_kept = value is None and name in KEPT_WHEN_ABSENT
        is_same_place = name in STRUCTURE and value == getattr(category, name)
        if not (name in CREATED_ONLY or is_kept or is_same_place):
            setattr(category, name, value)
            fields.append(name)
    category.modified_at = at
    check_code(category.code, type=category.type, mixins=category.own_classification_mixins)
    _check_uniqueness(
        category,
        code=None if category.code == stored_code else category.code,
        numbers=[number for number in numbers if number not in category.stored_numbers],
    )
    return fields


def check_new_id(category_id: str) -> None:
    """Raise InvalidCategory when no category may be created with the id."""
    if category_id in Category.reserved_ids:
        raise InvalidCategory(f"Category id '{category_id}' is reserved", field="id")


def check_code(code: str | None, *, type: str | None, mixins: Sequence[object] | None) -> None:
    """Raise InvalidCategory for a classification category without a code."""
    if not code and (type == "CLASSIFICATION" or mixins):
        raise InvalidCategory("A category of type CLASSIFICATION needs a code", field="code")


def check_type(type: str | None, *, stored: str) -> None:
    """Raise InvalidCategory when the type differs from the stored one; None keeps that."""
    if type not in (None, stored):
        raise InvalidCategory("The type of a category cannot be changed", field="type")


def write_numbers(tenant_id: int, numbers: Sequence[tuple[int, Sequence[str]]]) -> None:
    """Make these the external numbers of each category; unchanged numbers are not written."""
    flat = [(key, value, rank) for key, values in numbers for rank, value in enumerate(values)]
    keys, values = [row[0] for row in flat], [row[1] for row in flat]
    execute(
        bind(
            "DELETE FROM catalog_categorynumber AS number"
            " WHERE tenant_id = {tenant} AND category_id = ANY({categories})"
            " AND NOT EXISTS (SELECT 1 FROM unnest({keys:bigint[]}, {values:text[]})"
            " AS given (category_id, value)"
            " WHERE given.category_id = number.category_id AND given.value = number.value)",
            tenant=tenant_id,
            categories=[key for key, _ in numbers],
            keys=keys,
            values=values,
        )
    )
    if flat:
        execute(
            bind(
                "INSERT INTO catalog_categorynumber (tenant_id, category_id, value, rank)"
                " SELECT {tenant}, category_id, value, rank"
                " FROM unnest({keys:bigint[]}, {values:text[]}, {ranks:integer[]})"
                " AS given (category_id, value, rank)"
                " ON CONFLICT (tenant_id, value) DO UPDATE SET rank = excluded.rank",
                tenant=tenant_id,
                keys=keys,
                values=values,
                ranks=[row[2] for row in flat],
            )
        )


def _check_uniqueness(category: Category, *, code: str | None, numbers: Sequence[str]) -> None:
    """Raise DuplicatedCode or DuplicatedNumber if another category has what is new to this one.

    The tree lock keeps the answer true until commit.
    """
    tenant_id = category.tenant_id
    if code:
        others = Category.objects.filter(tenant=tenant_id, code__iexact=code)
        if others.exclude(pk=category.pk).exists():
            raise DuplicatedCode(code)
    if numbers:
        taken = CategoryNumber.objects.filter(tenant=tenant_id, value__in=numbers)
        if found := sorted(taken.exclude(category=category.pk).values_list("value", flat=True)):
            raise DuplicatedNumber(found)


def _count_versions_up(keys: Sequence[int], at: datetime) -> None:
    execute(
        sql(
            "UPDATE catalog_category SET version = version + 1, modified_at = {at} WHERE id = ANY({keys})",
            at=param(at),
            keys=param(list(keys)),
        )
    )
