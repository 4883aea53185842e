"""What can go wrong in the catalogue."""

from collections.abc import Collection, Sequence

from core.errors import (
    MOST_DELETED_ALONG,
    AlreadyExists,
    InvalidBody,
    InvalidInput,
    NotFound,
    TooMuchToDelete,
)

MOST_CATEGORIES = 10_000
"""How many categories one transaction deletes, publishes or unpublishes: meanwhile no other is written."""


class Headed:
    """An error that the category service reports twice: under a heading for its kind, and in detail.

    `heading` becomes the `message` of the response and `details` its list; the error's own message is what
    people read elsewhere.
    """

    heading: str
    message: str

    @property
    def details(self) -> list[str]:
        return [self.message]


class CategoryNotFound(Headed, NotFound):
    """There is no such category, or the caller may not see it."""

    code = "category_not_found"
    heading = "Error while getting category"

    def __init__(self, category_id: str) -> None:
        super().__init__(f"Category with id '{category_id}' not found", resource_id=category_id)


class InvalidCategory(Headed, InvalidInput):
    """The category breaks a rule."""

    code = "invalid_category"
    heading = "Constraint validation failed"


class CategoriesTooLarge(Headed, TooMuchToDelete):
    """More products are in the categories than are deleted along at once."""

    heading = "Error while deleting categories"

    def __init__(self) -> None:
        super().__init__(
            f"More than {MOST_DELETED_ALONG:,} products are assigned to the categories that would be deleted."
            " Take some of them out first, by an import with mode delete, which commits them part by part, or"
            " delete fewer categories at a time. Nothing was deleted."
        )


class TooManyToDelete(Headed, TooMuchToDelete):
    """With those below them, more categories would go than are deleted at once."""

    heading = "Error while deleting categories"

    def __init__(self) -> None:
        super().__init__(
            f"More than {MOST_CATEGORIES:,} categories would be deleted, with all that are below. Delete some"
            " of those first, or all by an import with mode delete, which commits them part by part. Nothing"
            " was deleted."
        )


class TooManyToPublish(Headed, InvalidInput):
    """More categories would be published or unpublished than are at once."""

    code = "too_many_categories"
    heading = "Error while publishing categories"

    def __init__(self) -> None:
        super().__init__(
            f"At most {MOST_CATEGORIES:,} categories are published or unpublished at once. Select fewer: what"
            " is below an unpublished category is not shown either. Nothing was changed."
        )


class InvalidCategoryBody(Headed, InvalidBody):
    """Fields of a category break rules."""

    heading = InvalidCategory.heading

    @property
    def details(self) -> list[str]:
        return [problem.message for problem in self.problems]


class InvalidLanguages(Headed, InvalidInput):
    """A header names languages that the tenant has not configured."""

    code = "invalid_languages"

    def __init__(self, header: str, languages: Sequence[str], configured: Collection[str]) -> None:
        unknown, known = (", ".join(map(repr, each)) for each in (languages, configured))
        super().__init__(
            f"Following languages are not supported: {unknown}; the tenant has {known}", field=header
        )
        self.heading = f"{header} validation failed."


class MissingCategoryIds(Headed, InvalidInput):
    """A search for trees names no categories."""

    code = "missing_category_ids"
    heading = "There is a validation error. Please check the details."

    def __init__(self) -> None:
        super().__init__("categoryIds: must not be null", field="categoryIds")


class ParentNotFound(InvalidCategory):
    """The category that is to become the parent does not exist."""

    code = "parent_not_found"

    def __init__(self, parent_id: str) -> None:
        super().__init__(f"Parent category with id '{parent_id}' not found", field="parentId")


class WouldCreateCycle(InvalidCategory):
    """A category cannot be moved below itself or one of its descendants."""

    code = "would_create_cycle"

    def __init__(self, category_id: str, parent_id: str) -> None:
        super().__init__(
            f"Category with id '{category_id}' cannot be moved under '{parent_id}',"
            " which is the category itself or one of its descendants",
            field="parentId",
        )


class TooDeep(InvalidCategory):
    """The category or one below it would be on a level deeper than the tree may have."""

    code = "too_deep"

    def __init__(self, most: int) -> None:
        super().__init__(f"A category tree has at most {most} levels", field="parentId")


class CategoryExists(Headed, AlreadyExists):
    """The id of a new category is taken."""

    code = "category_exists"
    heading = "Error while creating category"

    def __init__(self, category_id: str) -> None:
        super().__init__(
            f"Category with id '{category_id}' already exists", field="id", resource_id=category_id
        )


class DuplicatedCode(Headed, AlreadyExists):
    """Another category has the code, whatever the case of its letters."""

    code = "duplicated_code"
    heading = "Duplicated code - given code is already assigned to another category."

    def __init__(self, category_code: str) -> None:
        super().__init__(f"Code '{category_code}' is already assigned to another category", field="code")


class DuplicatedNumber(Headed, AlreadyExists):
    """Another category has one of the external category numbers."""

    code = "duplicated_number"
    heading = "Duplicated ECN value - given ECN is already assigned to another category."

    def __init__(self, numbers: Sequence[str]) -> None:
        quoted = ", ".join(f"'{number}'" for number in numbers)
        super().__init__(f"ECN {quoted} is already assigned to another category", field="ecn")


class TreeNotFound(Headed, NotFound):
    """There is no root category of this id that the caller may see."""

    code = "tree_not_found"
    heading = "Error while getting category tree"

    def __init__(self, category_id: str) -> None:
        super().__init__(
            f"Category tree for category with id '{category_id}' not found", resource_id=category_id
        )


class RelativesNotFound(Headed, NotFound):
    """There is no category of this id whose parents or subcategories could be listed."""

    code = "relatives_not_found"

    def __init__(self, category_id: str, *, relatives: str, tenant: str) -> None:
        super().__init__(
            f"{relatives.capitalize()} for category with id '{category_id}' for tenant '{tenant}' not found",
            resource_id=category_id,
        )
        self.heading = f"Error while getting category {relatives}"


class InvalidReference(Headed, InvalidInput):
    """An assignment names something that is no product of the tenant."""

    code = "invalid_reference"
    heading = "Assignment reference validation failed"

    def __init__(
        self, message: str = "Please provide a valid assignment reference id", *, field: str = "ref.id"
    ) -> None:
        super().__init__(message, field=field)


class InvalidReferenceBody(InvalidCategoryBody):
    """The body of an assignment does not name a product."""

    heading = InvalidReference.heading


class AlreadyAssigned(Headed, AlreadyExists):
    """The product is in the category already."""

    code = "already_assigned"
    heading = "Error while assigning a resource"

    def __init__(self, product_id: str) -> None:
        super().__init__(
            f"Resource with id '{product_id}' is already assigned to the category",
            field="ref.id",
            resource_id=product_id,
        )


class AssignmentNotFound(Headed, NotFound):
    """The category has no such assignment."""

    code = "assignment_not_found"
    heading = "Error while getting category assignment"

    def __init__(self, assignment_id: str) -> None:
        super().__init__(f"Assignment '{assignment_id}' not found", resource_id=assignment_id)


class ReferenceNotFound(Headed, NotFound):
    """There is no such product, or it is assigned to no category."""

    code = "reference_not_found"
    heading = "Error while getting category reference"

    def __init__(self, product_id: str) -> None:
        super().__init__(f"Reference id {product_id} not found", resource_id=product_id)


class CategoriesOfReferenceNotFound(Headed, NotFound):
    """There is no product of this id whose categories could be listed."""

    code = "categories_of_reference_not_found"
    heading = "Error while getting categories for assignment reference"

    def __init__(self, product_id: str) -> None:
        super().__init__(
            f"Categories for assignment reference with id '{product_id}' not found", resource_id=product_id
        )


class ProductNotFound(NotFound):
    """There is no such product, or the caller may not see it."""

    code = "product_not_found"

    def __init__(self, product_id: str) -> None:
        super().__init__(f"The product with id {product_id} has not been found.", resource_id=product_id)


class InvalidProduct(InvalidInput):
    """The product breaks a rule."""

    code = "invalid_product"


class ProductExists(AlreadyExists):
    """The id of a new product is taken."""

    code = "product_exists"

    def __init__(self, product_id: str) -> None:
        super().__init__(
            f"Conflict - a product with the id {product_id} exists already.",
            field="id",
            resource_id=product_id,
        )


class ProductCodeTaken(AlreadyExists):
    """Another product has the code."""

    code = "product_code_taken"

    def __init__(self, product_code: str) -> None:
        named = f"the code {product_code}" if product_code else "this code"
        super().__init__(f"Conflict - another product has {named}.", field="code")
