"""How large one document may be, for every entry point.

No constraint repeats this in the database: it would refuse every update of a document that was stored when
larger ones were allowed, and such a document may be written as long as it does not grow.
"""

import orjson

from core.errors import InvalidInput

LARGEST_DOCUMENT = 262_144  # bytes of compact JSON


class DocumentTooLarge(InvalidInput):
    """The document has more than LARGEST_DOCUMENT bytes, and more than what is stored."""

    code = "document_too_large"


def document_size(document: object) -> int:
    """Return the number of bytes of the document as compact JSON."""
    return len(orjson.dumps(document, default=str))


def check_document_size(document: object, *, stored: object = None, field: str = "") -> None:
    """Raise DocumentTooLarge for more than 256 KB; one that is stored already may be as large as it is."""
    size = document_size(document)
    if size > LARGEST_DOCUMENT and size > document_size(stored):
        raise DocumentTooLarge(
            f"{field or 'The document'} has {size // 1024} KB; the limit is {LARGEST_DOCUMENT // 1024} KB."
            " Keep large contents elsewhere, and their addresses here.",
            field=field,
        )
