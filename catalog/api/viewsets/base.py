"""What all resources of the category service share: what the caller may see, and in which languages."""

from functools import partial

from django.http import HttpResponse

from accounts.identity.scopes import CATEGORY_MANAGE, CATEGORY_READ_UNPUBLISHED
from catalog import extensions
from catalog.errors import InvalidLanguages
from catalog.subtrees import is_category, is_shown
from core.api import parameters
from core.api.error_bodies import CATEGORY_ERRORS
from core.api.parameters import query_parameter
from core.api.viewsets import ContractViewSet
from core.errors import NotFound
from core.representation.fields import Languages
from core.representation.languages import unsupported_languages
from core.sql.composition import Sql, equals, identifier, sql
from core.sql.fetching import fetch_rows

MANAGE = (CATEGORY_MANAGE,)
SHOW_UNPUBLISHED = query_parameter(
    "showUnpublished", f"Show what is not published too. Needs {CATEGORY_READ_UNPUBLISHED}.", type=bool
)


IS_CATEGORY = is_category("category")
IS_SHOWN = sql("category.is_published AND {shown}", shown=is_shown(Sql("category.id")))


class CategoryServiceViewSet(ContractViewSet):
    """A resource of the category service. Any valid token may read what is published."""

    error_format = CATEGORY_ERRORS
    has_localized_fields = True
    has_tagged_lists = True
    groups_ended = staticmethod(partial(extensions.touched_groups, "category"))

    def languages(self) -> Languages:
        """Return how the caller wants localized fields; refuse languages that are not configured."""
        asked, configured = super().languages(), self.caller.tenant.languages
        if unknown := unsupported_languages(asked.accepted, configured):
            raise InvalidLanguages("Accept-Language", unknown, configured)
        return Languages(asked.accepted, asked.default, configured)

    def shows_unpublished(self) -> bool:
        """Say whether the caller asks for what is unpublished; refuse it without the scope."""
        asked = parameters.flag(self.query, "showUnpublished")
        if asked:
            self.require_scope(CATEGORY_READ_UNPUBLISHED)
        return asked

    def visible(self, *, shows_unpublished: bool) -> list[Sql]:
        """Return the conditions of the tenant's categories that may be shown.

        Unless `shows_unpublished`, a category is left out when it or one above it is unpublished.
        """
        of_tenant = equals("category.tenant_id", self.caller.tenant.id)
        return [of_tenant, IS_CATEGORY] if shows_unpublished else [of_tenant, IS_CATEGORY, IS_SHOWN]

    def category_key(self, category_id: str, *, shows_unpublished: bool) -> Sql:
        """The key of a category that may be shown, as an expression; NULL when there is none."""
        conditions = [
            *self.visible(shows_unpublished=shows_unpublished),
            equals("category.external_id", category_id),
        ]
        return sql(
            "(SELECT category.id FROM catalog_category AS category WHERE {conditions})",
            conditions=Sql.joined(" AND ", conditions),
        )


def require_category(key: Sql, *, missing: NotFound) -> None:
    """Raise `missing` when the expression of a category's key finds none."""
    if fetch_rows(sql("SELECT {key}", key=key)) == [(None,)]:
        raise missing


def key_in(column: str, selection: Sql) -> Sql:
    """A condition: the column holds a key of the selection."""
    return sql("{column} IN ({selection})", column=identifier(*column.split(".")), selection=selection)


def json_text(text: str, status: int = 200) -> HttpResponse:
    return HttpResponse(text, status=status, content_type="application/json")
