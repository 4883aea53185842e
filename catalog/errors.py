"""What can go wrong in the catalogue."""

from collections.abc import Sequence

from core.errors import AlreadyExists, InvalidInput, NotFound


class Detailed:
    """An error that says more in `details`, a list of texts."""

    details: Sequence[str] = ()


class CategoryNotFound(NotFound, Detailed):
    """There is no such category, or the caller may not see it."""

    code = "category_not_found"

    def __init__(self, category_id: str) -> None:
        super().__init__("Error while getting category", resource_id=category_id)
        self.details = [f"Category with id '{category_id}' not found"]


class InvalidCategory(InvalidInput, Detailed):
    """The category breaks rules; `details` lists them."""

    code = "invalid_category"

    def __init__(self, *details: str, field: str = "") -> None:
        super().__init__("Constraint validation failed", field=field)
        self.details = details


class ParentNotFound(InvalidCategory):
    """The category that is to become the parent does not exist."""

    code = "parent_not_found"

    def __init__(self, parent_id: str) -> None:
        super().__init__(f"Parent category with id '{parent_id}' not found", field="parentId")


class WouldCreateCycle(InvalidCategory):
    """A category cannot hang under itself or under one of its descendants."""

    code = "would_create_cycle"

    def __init__(self, category_id: str, parent_id: str) -> None:
        super().__init__(
            f"Category with id '{category_id}' cannot be moved under '{parent_id}',"
            " which is the category itself or one of its descendants",
            field="parentId",
        )


class CategoryExists(AlreadyExists, Detailed):
    """The id of a new category is taken."""

    code = "category_exists"

    def __init__(self, category_id: str) -> None:
        super().__init__("Error while creating category", field="id", resource_id=category_id)
        self.details = [f"Category with id '{category_id}' already exists"]


class DuplicatedCode(AlreadyExists, Detailed):
    """Another category has the code, whatever the case of its letters."""

    code = "duplicated_code"

    def __init__(self, category_code: str) -> None:
        super().__init__(
            "Duplicated code - given code is already assigned to another category.", field="code"
        )
        self.details = [f"Code '{category_code}' is already assigned to another category"]


class DuplicatedNumber(AlreadyExists, Detailed):
    """Another category has one of the external category numbers."""

    code = "duplicated_number"

    def __init__(self, numbers: Sequence[str]) -> None:
        super().__init__(
            "Duplicated ECN value - given ECN is already assigned to another category.", field="ecn"
        )
        self.details = [f"ECN '{number}' is already assigned to another category" for number in numbers]


class TreeNotFound(NotFound, Detailed):
    """There is no root category of this id that the caller may see."""

    code = "tree_not_found"

    def __init__(self, category_id: str) -> None:
        super().__init__("Error while getting category tree", resource_id=category_id)
        self.details = [f"Category tree for category with id '{category_id}' not found"]


class RelativesNotFound(NotFound, Detailed):
    """There is no category of this id whose parents or subcategories could be listed."""

    code = "relatives_not_found"

    def __init__(self, category_id: str, *, relatives: str, tenant: str) -> None:
        super().__init__(f"Error while getting category {relatives}", resource_id=category_id)
        self.details = [
            f"{relatives.capitalize()} for category with id '{category_id}' for tenant '{tenant}' not found"
        ]


class InvalidReference(InvalidInput, Detailed):
    """What an assignment names is not a product of the tenant."""

    code = "invalid_reference"

    def __init__(
        self, detail: str = "Please provide a valid assignment reference id", *, field: str = "ref.id"
    ) -> None:
        super().__init__("Assignment reference validation failed", field=field)
        self.details = [detail]


class AlreadyAssigned(AlreadyExists, Detailed):
    """The product stands in the category already."""

    code = "already_assigned"

    def __init__(self, product_id: str) -> None:
        super().__init__("Error while assigning a resource", field="ref.id", resource_id=product_id)
        self.details = [f"Resource with id '{product_id}' is already assigned to the category"]


class AssignmentNotFound(NotFound, Detailed):
    """The category has no such assignment."""

    code = "assignment_not_found"

    def __init__(self, assignment_id: str) -> None:
        super().__init__("Error while getting category assignment", resource_id=assignment_id)
        self.details = [f"Assignment '{assignment_id}' not found"]


class ReferenceNotFound(NotFound, Detailed):
    """There is no such product, or it is assigned to no category."""

    code = "reference_not_found"

    def __init__(self, product_id: str) -> None:
        super().__init__("Error while getting category reference", resource_id=product_id)
        self.details = [f"Reference id {product_id} not found"]


class CategoriesOfReferenceNotFound(NotFound, Detailed):
    """There is no product of this id whose categories could be listed."""

    code = "categories_of_reference_not_found"

    def __init__(self, product_id: str) -> None:
        super().__init__("Error while getting categories for assignment reference", resource_id=product_id)
        self.details = [f"Categories for assignment reference with id '{product_id}' not found"]


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
