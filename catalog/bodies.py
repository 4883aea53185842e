"""Reads the bodies of writes to categories and assignments.

Each function raises InvalidInput (or InvalidCategory) naming the first field that breaks a rule. Null stands
for an absent optional field; fields that are unknown or written by the service are ignored, so that clients
may send back what they read.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from catalog.errors import InvalidCategory, InvalidLanguages, InvalidReference, MissingCategoryIds
from catalog.operations.categories import CategoryDraft
from catalog.tree import LARGEST_POSITION
from core.errors import InvalidInput, MalformedBody
from core.representation.languages import accepted_languages, read_translations, unconfigured_languages
from core.tenancy.identifiers import check_client_id
from core.timestamps import parse_validity

LONGEST_NAME = 500
LONGEST_DESCRIPTION = 10_000
LONGEST_CODE = 200
LONGEST_REFERENCE = 128
LARGEST_VERSION = 2_147_483_647
ROOT_PARENTS = (None, "null", "root")
TYPES = ("STANDARD", "CLASSIFICATION")


@dataclass(frozen=True, slots=True)
class WriteLanguages:
    """Which languages a body may hold: those of its Content-Language that the tenant has configured."""

    content_language: str | None
    default: str
    configured: Collection[str]

    @property
    def allowed(self) -> Collection[str]:
        named = accepted_languages(self.content_language)
        if unknown := unconfigured_languages(named or (), self.configured):
            raise InvalidLanguages("Content-Language", unknown)
        return self.configured if named is None else named


def as_object(body: object) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise MalformedBody("The body is a JSON object.")
    return body


def read_text(entry: dict[str, Any], name: str, *, longest: int) -> str | None:
    """Return an optional text; absent, null and empty are None."""
    value = entry.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > longest:
        raise InvalidInput(f"{name} must be a text of at most {longest} characters.", field=name)
    return value


def read_object(entry: dict[str, Any], name: str, *, field: str) -> dict[str, Any]:
    """Return an optional object; absent and null are an empty one."""
    value = entry.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidInput(f"{field} must be an object.", field=field)
    return value


def read_flag(entry: dict[str, Any], name: str) -> bool | None:
    value = entry.get(name)
    if value is not None and not isinstance(value, bool):
        raise InvalidInput(f"{name} must be true or false.", field=name)
    return value


def read_metadata(entry: dict[str, Any]) -> tuple[dict[str, Any], int | None]:
    """Return the addresses of mixin schemas, and the version that the client saw."""
    metadata = read_object(entry, "metadata", field="metadata")
    version = metadata.get("version")
    if version is not None and (type(version) is not int or not 0 <= version <= LARGEST_VERSION):
        raise InvalidInput("metadata.version must be a whole number.", field="metadata.version")
    schemas = read_object(metadata, "mixins", field="metadata.mixins")
    if not all(isinstance(address, str) for address in schemas.values()):
        raise InvalidInput("metadata.mixins must name the address of each schema.", field="metadata.mixins")
    return schemas, version


def read_localized(
    entry: dict[str, Any], name: str, languages: WriteLanguages, *, longest: int, noun: str
) -> dict[str, str]:
    """Return an optional localized field, all of whose languages the body may hold."""
    value = entry.get(name)
    if value is None:
        return {}
    translations = read_translations(
        value, languages.content_language, languages.default, field=name, max_length=longest
    )
    if unconfigured_languages(translations, languages.allowed):
        raise InvalidCategory(f"Category {noun} contains unsupported languages", field=name)
    return translations


def read_list(entry: dict[str, Any], name: str) -> list[Any] | None:
    value = entry.get(name)
    if value is not None and not isinstance(value, list):
        raise InvalidInput(f"{name} must be a list.", field=name)
    return value


def read_parent(entry: dict[str, Any]) -> str | None:
    """Return the parent's id; None, which absent, null, "null" and "root" mean, makes a root category."""
    parent_id = entry.get("parentId")
    if parent_id in ROOT_PARENTS:
        return None
    return check_client_id(parent_id, field="parentId")


def read_position(entry: dict[str, Any]) -> int | None:
    position = entry.get("position")
    if position is None:
        return None
    if type(position) is not int or not 0 <= position <= LARGEST_POSITION:
        raise InvalidInput(f"position must be a whole number from 0 to {LARGEST_POSITION}.", field="position")
    return position


def read_category(
    body: object, languages: WriteLanguages, *, published_is_required: bool = True
) -> tuple[CategoryDraft, int | None]:
    """Read a whole category, and the version that the client saw, if it says."""
    entry = as_object(body)
    name = read_localized(entry, "localizedName", languages, longest=LONGEST_NAME, noun="name")
    if not name:
        raise InvalidCategory("localizedName must have at least one translation", field="localizedName")
    is_published = read_flag(entry, "published")
    if is_published is None and published_is_required:
        raise InvalidCategory("published must not be null", field="published")
    kind = entry.get("type")
    if kind is not None and kind not in TYPES:
        raise InvalidInput(f"type must be {' or '.join(TYPES)}.", field="type")
    starts_at, ends_at = parse_validity(entry.get("validity"))
    schemas, version = read_metadata(entry)
    draft = CategoryDraft(
        name=name,
        parent_id=read_parent(entry),
        description=read_localized(
            entry, "localizedDescription", languages, longest=LONGEST_DESCRIPTION, noun="description"
        ),
        slug=read_localized(entry, "localizedSlug", languages, longest=LONGEST_NAME, noun="slug"),
        position=read_position(entry),
        code=read_text(entry, "code", longest=LONGEST_CODE),
        numbers=read_list(entry, "ecn") or (),
        valid_from=starts_at,
        valid_to=ends_at,
        is_published=is_published,
        type=kind,
        own_classification_mixins=read_list(entry, "ownClassificationMixins"),
        mixins=read_object(entry, "mixins", field="mixins"),
        mixin_schemas=schemas,
    )
    return draft, version


def read_category_ids(body: object) -> list[str]:
    """Read the body of a search for trees: `{"categoryIds": [...]}`, at most 1000."""
    category_ids = body.get("categoryIds") if isinstance(body, dict) else None
    if category_ids is None:
        raise MissingCategoryIds
    if not isinstance(category_ids, list) or len(category_ids) > 1_000:
        raise InvalidInput("categoryIds must be a list of at most 1000 ids.", field="categoryIds")
    if not all(isinstance(category_id, str) for category_id in category_ids):
        raise InvalidInput("Each of categoryIds must be a text.", field="categoryIds")
    return category_ids


def read_reference(entry: object, *, needs_type: bool) -> str:
    """Read the id of the product that is assigned, out of `{"ref": {"id", "type"}}`."""
    reference = entry.get("ref") if isinstance(entry, dict) else None
    if not isinstance(reference, dict):
        raise InvalidReference("Please provide an assignment reference", field="ref")
    kind = reference.get("type")
    if kind is None and needs_type:
        raise InvalidReference("Please provide a valid assignment reference type", field="ref.type")
    if kind is not None and (not isinstance(kind, str) or kind.upper() != "PRODUCT"):
        raise InvalidReference("The assignment reference type must be PRODUCT", field="ref.type")
    product_id = reference.get("id")
    if not isinstance(product_id, str) or not 1 <= len(product_id) <= LONGEST_REFERENCE:
        raise InvalidReference("Please provide a valid assignment reference id", field="ref.id")
    return product_id
