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
