"""What can go wrong with segments and their assignments."""

from core.errors import MOST_DELETED_ALONG, InvalidInput, NotFound, TooMuchToDelete


class SegmentNotFound(NotFound):
    """There is no such segment, or none that the caller may know of."""

    code = "segment_not_found"


class SegmentSetNotFound(NotFound):
    """The key names no set of segments, or has expired."""

    code = "segment_set_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such set of segments, or its key is over. Ask for a new key.")


class SegmentHasAssignments(InvalidInput):
    """The segment still holds customers or items, and its deletion was not forced.

    `more_info` says what the deletion would do, where somebody has found that out.
    """

    code = "segment_has_assignments"
    more_info = ""

    def __init__(self, segment_id: str) -> None:
        super().__init__(
            f"The segment {segment_id} has customers or items assigned to it;"
            " delete it with forceDelete=true.",
            field="forceDelete",
            resource_id=segment_id,
        )


class SegmentTooLarge(TooMuchToDelete):
    """The segment holds more customers and items than are deleted at once."""

    def __init__(self, segment_id: str, number: int) -> None:
        super().__init__(
            f"The segment {segment_id} has {number:,} customers and items; at most {MOST_DELETED_ALONG:,} are"
            " deleted along with it. Remove some of them first, by an import with mode delete, which commits"
            " them part by part. Nothing was deleted.",
            resource_id=segment_id,
        )


class UnknownSite(InvalidInput):
    """There is no site of this code."""

    code = "unknown_site"

    def __init__(self, site_code: str) -> None:
        super().__init__(f"There is no site {site_code}.", field="siteCode")


class UnknownCustomer(InvalidInput):
    """The assignment names a customer that does not exist."""

    code = "unknown_customer"

    def __init__(self, customer_id: str) -> None:
        super().__init__(f"There is no customer {customer_id}.", field="customerId")


class UnknownLegalEntity(InvalidInput):
    """The assignment names a legal entity that does not exist."""

    code = "unknown_legal_entity"

    def __init__(self, legal_entity_id: str) -> None:
        super().__init__(f"There is no legal entity {legal_entity_id}.", field="legalEntityId")


class NotAContact(InvalidInput):
    """The assignment names a legal entity that the customer cannot act for."""

    code = "not_a_contact"

    def __init__(self, customer_id: str, legal_entity_id: str) -> None:
        super().__init__(
            f"The customer {customer_id} is not assigned to the legal entity {legal_entity_id}.",
            field="legalEntityId",
        )


class UnknownItem(InvalidInput):
    """The assignment names a product or a category that does not exist."""

    code = "unknown_item"

    def __init__(self, item_type: str, item_id: str) -> None:
        super().__init__(f"There is no {item_type.lower()} {item_id}.", field="id")
