"""What is checked of a body beside its declaration: its size, and its names where clients ask for that."""

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import ClassVar

import orjson
from django.http import HttpResponse
from rest_framework.viewsets import ViewSet

from core.api.preferences import (
    Known,
    known_fields,
    merged_fields,
    unknown_fields,
    unknown_fields_of_patch,
    unknown_parameters,
)
from core.api.schema import AutoSchema, Operation
from core.bodies import DocumentTooLarge, check_document_size, document_size
from core.errors import InvalidBody, NotAllowed, NotFound
from core.json_values import LARGEST_DOCUMENT

NO_DOCUMENTS = {"search", "match", "bulk_destroy"}  # their bodies only name documents
WRITES_OF_DOCUMENTS = {"create", "update", "partial_update", "bulk_create", "bulk_update"}


@cache
def query_names(kind: type[ViewSet], action: str) -> frozenset[str]:
    """Return the query parameters that an action reads, as the OpenAPI document shows them."""
    view = kind()
    view.action = action
    described = AutoSchema.of(view).query_parameters()
    return frozenset(parameter.name for parameter in described)


@cache
def body_names(kind: type[ViewSet], action: str) -> Known:
    """Return the fields that an action's body may have: those that are declared, and those that are read.

    Clients send back the documents that they read, with fields that nobody can write.
    """
    declared: Operation = getattr(kind, action).operation
    request = declared.request
    if request is None and action == "search":
        request = getattr(kind, "search_body", None)
    if request is None and action == "partial_update" and hasattr(kind, "update"):
        request = kind.update.operation.request
    known = known_fields(request)
    resource = getattr(kind, "resource", None)
    if action not in WRITES_OF_DOCUMENTS or resource is None:
        return known
    return known_fields(resource) if request is None else merged_fields(known, known_fields(resource))


def document_in(respond: Callable[[], HttpResponse]) -> object:
    """Return the document of a response; None when there is none, or none that the caller may read."""
    try:
        return orjson.loads(respond().content or b"null")
    except (NotFound, NotAllowed):
        return None


class DocumentChecks(ViewSet):
    """The checks of a viewset's documents that few requests need."""

    entry_arguments: ClassVar[Mapping[str, str]] = {}  # of `retrieve`, by the members of a bulk entry

    def check_document_sizes(self) -> None:
        """Raise DocumentTooLarge when the body is larger than a document may be.

        An entry of a bulk body that is too large becomes its error, which `read_bodies` reports. A document
        that is stored may be replaced by one of the same size, in bulk too. Patches are judged when applied.
        """
        body = self.request.data
        if self.action == "partial_update" or self.action in NO_DOCUMENTS:
            return
        if isinstance(body, list):
            for index, entry in enumerate(body):
                try:
                    if document_size(entry) > LARGEST_DOCUMENT:
                        check_document_size(entry, stored=self.stored_entry(entry))
                except DocumentTooLarge as refused:
                    body[index] = refused
        elif document_size(body) > LARGEST_DOCUMENT:
            check_document_size(body, stored=self.stored_document())

    def stored_document(self) -> object:
        """Return the document that a PUT replaces, as the caller reads it; None when there is none."""
        retrieve = getattr(self, "retrieve", None)
        if self.action != "update" or retrieve is None:
            return None
        return document_in(partial(retrieve, self.request, **self.kwargs))

    def stored_entry(self, entry: object) -> object:
        """Return the document that an entry of a bulk body replaces; None when there is none."""
        if self.action != "bulk_update" or not isinstance(entry, dict):
            return None
        named = {
            argument: entry[member]
            for argument, member in self.entry_arguments.items()
            if isinstance(entry.get(member), str)
        }
        if not named:
            return None
        retrieve = getattr(self, "retrieve")  # noqa: B009 -- not every viewset has one
        return document_in(partial(retrieve, self.request, **self.kwargs, **named))

    def refuse_unknown_names(self) -> None:
        """Raise InvalidBody when the request has parameters or fields that the operation does not read."""
        action, body = self.action or "", self.request.data
        kind: object = type(self)
        problems = [*unknown_parameters(self.request.query_params, query_names(kind, action))]
        if isinstance(body, list) and action == "partial_update":
            problems += unknown_fields_of_patch(body, body_names(kind, action))
        elif type(body) in (dict, list):
            problems += unknown_fields(body, body_names(kind, action))
        if problems:
            raise InvalidBody(problems, " ".join(problem.message for problem in problems[:10]))
