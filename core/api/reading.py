"""Responses of reads: pages of lists, single documents, and what is held of them already."""

from collections.abc import Callable, Collection, Sequence
from contextlib import nullcontext
from datetime import datetime
from functools import cache, lru_cache, partial
from typing import ClassVar

import orjson
from django.db import OperationalError
from django.http import HttpResponse, QueryDict
from django.http.request import HttpHeaders
from rest_framework.viewsets import ViewSet

from core.api import parameters
from core.api.conditional import (
    PRIVATE,
    document_with_tag,
    entity_tag,
    kept_response,
    revised_response,
    version_tag,
)
from core.api.schema import Operation
from core.api.searches import limits_of, refuse_long_search
from core.errors import InvalidInput, NotFound
from core.representation.fields import Languages
from core.representation.languages import MAX_HEADER_LENGTH, accepted_languages
from core.representation.pages import Along, KeyPartitions, PageRequest, fetch_page
from core.representation.relative_instants import Clock, names_relative_instant
from core.representation.representations import NO_SEARCH, Representation, SortKey, row_statement
from core.revisions.counting import revision_of
from core.sql.composition import Sql, param, sql
from core.sql.fetching import fetch_rows
from core.tenancy.callers import Caller
from core.tenancy.time_zones import zone_of_tenant

wsgi_name = cache(HttpHeaders.to_wsgi_name)  # of names in our code, so there are only some


@lru_cache(maxsize=1_024)
def languages_of(header: str, default: str) -> Languages:
    """Return what a header Accept-Language asks for in a tenant with this default language."""
    return Languages(accepted_languages(header), default)


class ReadResponses(ViewSet):
    """What all reads have in common: which page and languages are asked for, and how a response is tagged.

    `at` is when the request is answered, `caller` who sent it, `query` its parameters.
    """

    parameters_of_person: ClassVar[Collection[str]] = ()  # say who asks and when, and nothing else
    default_page_size: ClassVar[int] = 60
    counts_by_parameter: ClassVar[bool] = False  # asks with totalCount=true instead of the header
    count_header: ClassVar[str] = "X-Total-Count"

    at: datetime
    caller: Caller
    operation: Operation
    query: QueryDict

    def header(self, name: str) -> str:
        """Return a header of the request, empty when it is absent.

        `request.headers` would copy all headers, and the process's environment, when it is used first.
        """
        return self.request._request.META.get(wsgi_name(name), "")

    def languages(self) -> Languages:
        """Return how the caller wants localized fields."""
        header = self.header("Accept-Language")[: MAX_HEADER_LENGTH + 1]
        return languages_of(header, self.caller.tenant.default_language)

    def address(self) -> tuple[object, ...]:
        """Return what a read depends on apart from the data: all that is said by address and headers.

        Parameters that only say who asks, and when, are left out (`parameters_of_person`). A search that may
        name a relative instant depends on when it is asked.
        """
        plain = self.request._request
        sent = plain.META.get("QUERY_STRING", "")
        if sent and any(name in sent or "%" in sent for name in self.parameters_of_person):
            query = self.request.query_params
            kept = {name: values for name, values in query.lists() if name not in self.parameters_of_person}
            sent = orjson.dumps(kept).decode()
        count = "" if self.counts_by_parameter else self.header("X-Total-Count").strip().lower()
        languages = self.languages()
        is_of_now = bool(sent) and names_relative_instant(self.query.get("q", ""))
        return (
            self.caller.tenant.id,
            plain.path_info,
            sent,
            self.at if is_of_now else None,
            languages.accepted,
            languages.default,
            languages.configured,
            count,
        )

    def revised_response(
        self,
        subjects: Collection[int],
        answer: Callable[[], HttpResponse],
        *,
        facts: Sequence[object] = (),
    ) -> HttpResponse:
        """Return what `answer` makes of the tenant's present data, or 304 when the client holds it.

        It depends on these subjects (docs/caching.md), on the address, and on `facts` about the caller.
        """
        revision = self.present_revision(self.revision(subjects))
        return self.state_response((revision, *facts), answer)

    def revised_page(
        self,
        subjects: Collection[int],
        page: Callable[..., HttpResponse],
        *,
        facts: Sequence[object] = (),
    ) -> HttpResponse:
        """Return as `revised_response` does what `page` makes: a page, which can be read with its revision.

        It is called with `along`, which it hands to `page_response`, and before which it reads nothing.
        """
        if self.query.get("q") or not self.is_first_page:  # what may find nothing would be searched twice
            return self.revised_response(subjects, page, facts=facts)
        revision = self.revision(subjects)

        def read_both() -> tuple[int, HttpResponse]:
            along = Along(revision)
            response = page(along=along)
            return along.value, response

        return revised_response(
            self.request,
            (self.caller.tenant.id, *subjects),
            [*facts, *self.address()],
            page,
            read_revision=partial(self.present_revision, revision),
            read_both=read_both,
            cache_control=PRIVATE,
        )

    def revision(self, subjects: Collection[int]) -> Sql:
        """An expression of type `bigint`: the revision that these subjects of the tenant have."""
        return revision_of(*subjects, tenant=param(self.caller.tenant.id, "bigint"))

    def present_revision(self, expression: Sql) -> int:
        [(revision,)] = fetch_rows(sql("SELECT {state}", state=expression), prepared=True)
        return revision

    def state_response(self, state: Sequence[object], answer: Callable[[], HttpResponse]) -> HttpResponse:
        """Return what `answer` makes of this state of the data, or 304 when the client holds it."""
        parts = [*state, *self.address()]
        return kept_response(self.request, parts, answer, cache_control=PRIVATE)

    @property
    def is_first_page(self) -> bool:
        """Whether the list is read from its beginning, or from a cursor: `keeps_plan` of large tables.

        A kept plan does not know how far into the table a page number leads.
        """
        return "pageNumber" not in self.request.query_params

    def clock(self) -> Clock:
        """Return what `now` and `today` of a `q` mean: days begin in the zone of the site that is named."""
        return Clock(
            self.at,
            lambda: zone_of_tenant(
                self.caller.tenant.id, parameters.text(self.request.query_params, "siteCode")
            ),
        )

    def page_request(self) -> PageRequest:
        """Read which page the client asks for."""
        wants_count = (
            None if self.counts_by_parameter else self.header("X-Total-Count").strip().lower() == "true"
        )
        return parameters.page_request(
            self.request.query_params,
            default_size=self.default_page_size,
            languages=self.languages(),
            wants_count=wants_count,
        )

    def page_response(
        self,
        representation: Representation,
        conditions: Sequence[Sql],
        *,
        q: str | None = None,
        needs: Collection[str] = (),
        order: Sequence[SortKey] = (),
        parts: KeyPartitions | None = None,
        keeps_plan: bool = False,
        when_empty: Callable[[], object] | None = None,
        along: Along | None = None,
    ) -> HttpResponse:
        """Answer one page of the rows that meet all conditions and the query `q` (default: the parameter).

        `order` is the order of a list whose client asks for none; without it that is the key's. With `parts`
        the list is their union.
        `keeps_plan` (see `fetch_rows`) is for lists that are read all the time; it plays no part in a search.
        `when_empty` is called for a page without rows: it raises when what the list belongs to is not there.
        `along` is read in the same statement.
        """
        page_request = self.page_request()
        if q is None:
            query = self.request.query_params
            q = parameters.text(query, "q") if "q" in query else ""
        search = representation.search(q, self.clock()) if q.strip() else NO_SEARCH
        try:
            with limits_of(search.patterns, self.caller) if search.patterns else nullcontext():
                page = fetch_page(
                    representation,
                    page_request,
                    [*conditions, *search.conditions],
                    search.needs.union(needs),
                    order=order,
                    partitions=parts,
                    prepared=keeps_plan and not search.conditions,
                    along=along,
                )
        except OperationalError as error:
            if search.conditions:
                refuse_long_search(error)
            raise
        if when_empty and not page.documents:
            when_empty()
        answer = HttpResponse(page.body.encode(), content_type="application/json")
        if page.next_cursor:
            answer["X-Next-Cursor"] = page.next_cursor
        if page.previous_cursor:
            answer["X-Prev-Cursor"] = page.previous_cursor
        if page.count is not None:
            answer[self.count_header] = str(page.count)
        return answer

    def document_response(
        self,
        representation: Representation,
        conditions: Sequence[Sql],
        *,
        missing: Callable[[], NotFound],
        needs: Collection[str] = (),
    ) -> HttpResponse:
        """Return the one row that meets all conditions, or 304 when the client holds it.

        Without such a row it raises the error that `missing` makes.

        Its ETag is its version in double quotes, in every language.
        """
        query, languages = self.request.query_params, self.languages()
        names = representation.kept_fields(parameters.words(query, "fields")) if "fields" in query else None
        statement = row_statement(
            representation.shape,
            names,
            frozenset(needs),
            document=representation.document(names, languages),
            condition=Sql.joined(" AND ", conditions),
        )
        rows = fetch_rows(statement, prepared=True)
        if not rows:
            raise missing()
        text, version = rows[0]
        response = HttpResponse(text.encode(), content_type="application/json")
        plain = self.request._request
        if version is None:
            return document_with_tag(plain, response, entity_tag([text]))
        covers_all = representation.derived.isdisjoint(representation.fields if names is None else names)
        return document_with_tag(plain, response, version_tag(version), covers_all=covers_all)

    def filter_conditions(self, **facts: object) -> tuple[list[Sql], set[str]]:
        """Return the conditions of the operation's filters that the request names, and the joins they need.

        `facts` become attributes of the FilterSet, for its methods.
        """
        kind, query = self.operation.filters, self.request.query_params
        if kind is None or not kind.names_any(query):
            return [], set()
        return kind(query, tenant=self.caller.tenant, **facts).conditions()

    def search_text(self) -> str:
        """Return the `q` of a search body, `{"q": "..."}`."""
        body = self.request.data
        if body is None:
            return ""
        q = body.get("q") if isinstance(body, dict) else False
        if q is None:
            return ""
        if not isinstance(q, str):
            raise InvalidInput('The body is an object such as {"q": "name.en:Gold"}.', field="q")
        return q
