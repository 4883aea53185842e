"""What products and categories are searched by."""

from core.search import translations_of

SEARCHED_FIELDS = ("external_id", "code", translations_of("name"))
