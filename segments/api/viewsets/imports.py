import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Annotated, Any, Literal, cast

import msgspec
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import transaction
from django.http import HttpResponse
from django.http.multipartparser import MultiPartParser, MultiPartParserError
from django.utils.cache import patch_vary_headers
from msgspec import Meta
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from accounts.identity.scopes import CUSTOMER_READ, SEGMENT_MANAGE
from core.api import parameters
from core.api.json import json_response
from core.api.parameters import header_parameter, key_in, query_parameter
from core.api.schema import operation
from core.bodies import Body
from core.errors import InvalidInput, MalformedBody, NotFound
from core.imports.files import Format
from core.imports.merge import Refusal
from core.imports.merge_statements import Mode
from core.imports.models import ImportReject, ImportRun, ImportState
from core.imports.parts import MAX_REMOVED, cancel_import
from core.imports.rejects import RejectLines
from core.imports.resources import registered_resources
from core.imports.rows import FileHeader
from core.imports.undo import job_of, last_undo
from core.imports.uploads import Upload, submit_import
from core.journal.undo.changes import Undone
from core.json_types import JsonMapping, JsonObject
from core.timestamps import format_time
from segments.api.viewsets.base import SegmentServiceViewSet

KINDS = {"members": "segment_customers", "items": "segment_items", "segments": "segments"}
KIND_OF = {name: kind for kind, name in KINDS.items()}
MODES = ("upsert", "replace", "delete")
FORMATS = {
    "text/csv": Format.CSV,
    "application/x-ndjson": Format.JSONL,
    "application/jsonl": Format.JSONL,
    "application/json": Format.JSON,
}
FIRST_REFUSALS = 20
REJECTS_OF_PAGE = 1_000
LONGEST_KEY = 100
MANAGE = (SEGMENT_MANAGE,)
PERSONAL = frozenset({"segment_customers"})
"""Kinds whose rows name people."""
FILE = {"type": "string", "format": "binary"}
LINES = {
    "type": "string",
    "description": "One JSON object a line, as in `firstRefusals`: `line`, `reason`, `message` and `source`.",
}
TABLE = {
    "type": "string",
    "description": "The header of the file (`source` where it was no CSV) with `rejected.line`,"
    " `rejected.reason` and `rejected.message`, then one refused row a line.",
}
FORM = {
    "type": "object",
    "properties": {
        "file": {**FILE, "description": "CSV, JSON Lines or a JSON array; at most 2.5 MiB."},
        "kind": {"type": "string", "enum": list(KINDS), "description": "What the rows are."},
        "mode": {"type": "string", "enum": list(MODES), "description": "upsert when absent."},
        "dryRun": {"type": "boolean", "description": "Count, and change nothing."},
        MAX_REMOVED: {
            "type": "string",
            "description": "How many rows may go, or a share such as 20%.",
        },
    },
    "required": ["file"],
}
PARAMETERS = (
    query_parameter("kind", "What the rows are; may be a field of the form.", enum=list(KINDS)),
    query_parameter(
        "mode",
        "upsert creates and changes, replace also removes what the file does not hold of each segment that it"
        " names, delete removes what the file names. upsert when absent.",
        enum=list(MODES),
    ),
    query_parameter("dryRun", "Count what would happen, and change nothing.", type=bool),
    query_parameter(
        MAX_REMOVED,
        "How many rows the modes replace and delete may remove: a number, or a share such as 20%."
        " When absent, 100 rows or 20 % of what is stored. Beyond it nothing is applied.",
    ),
    header_parameter("Idempotency-Key", "A repetition with the same key returns the first import."),
)


class ImportNotFound(NotFound):
    """There is no such import."""

    code = "import_not_found"


class RefusedRow(Body, kw_only=True, omit_defaults=True):
    """A refused row."""

    line: Annotated[int, Meta(description="The line of the file, from 1, or the entry of a JSON array.")]
    reason: Annotated[str, Meta(description="A stable code of the reason.")]
    message: Annotated[
        str | None, Meta(description="The reason in words. Of members only with customer.customer_read.")
    ] = None
    source: Annotated[
        str | None,
        Meta(description="The row as it was sent, up to 2,000 characters. Of members as the message."),
    ] = None


class ImportCounts(Body, kw_only=True):
    """What became of the rows so far, or would in a dry run."""

    rows: Annotated[int, Meta(description="Rows that are done.")]
    created: Annotated[int, Meta(description="Rows that were created.")]
    changed: Annotated[int, Meta(description="Rows that were changed.")]
    unchanged: Annotated[int, Meta(description="Rows that were as in the file already.")]
    repeated: Annotated[int, Meta(description="Rows that a later row of the same file overrides.")]
    removed: Annotated[int, Meta(description="Stored rows that were removed.")]
    refused: Annotated[int, Meta(description="Rows that were refused.")]


class ImportUndo(Body, kw_only=True):
    """How far the undo of an import is."""

    state: Annotated[
        Literal["queued", "running", "done", "failed"],
        Meta(description="done when a worker has taken back the last row."),
    ]
    rows: Annotated[int, Meta(description="Rows that were taken back.")]
    left_alone: Annotated[
        int, Meta(description="Rows that were not, as somebody has changed them since the import.")
    ]


class ImportStatus(Body, kw_only=True):
    """An import: how far it is, and what it came to."""

    id: Annotated[str, Meta(description="The import's id; also the `sourceId` of its changes.")]
    kind: Annotated[Literal["members", "items", "segments"], Meta(description="What the rows are.")]
    mode: Annotated[str, Meta(description="upsert, replace or delete; insert for a list of the console.")]
    dry_run: Annotated[bool, Meta(description="Whether nothing is changed.")]
    state: Annotated[
        Literal["prepared", "running", "finished", "stopped", "failed", "undone"],
        Meta(description="running until a worker has done the last row; stopped when it was cancelled."),
    ]
    counts: Annotated[ImportCounts, Meta(description="What became of the rows.")]
    remaining: Annotated[int, Meta(description="Rows that are not done yet.")]
    refused_by_reason: Annotated[dict[str, int], Meta(description="How many rows were refused for what.")]
    first_refusals: Annotated[list[RefusedRow], Meta(description=f"The first {FIRST_REFUSALS} refused rows.")]
    rejects: Annotated[str, Meta(description="Where all refused rows are read.")]
    message: Annotated[str, Meta(description="Why it failed; empty while it has not.")]
    started_at: Annotated[str, Meta(description="When it was asked for.")]
    finished_at: Annotated[str | None, Meta(description="When it ended; null while it has not.")]
    undo: Annotated[
        ImportUndo | None, Meta(description="How far its undo is; null while nobody has asked for one.")
    ] = None


@dataclass(frozen=True, slots=True)
class SentFile:
    """The file of a request, and the fields of the form that it came in."""

    content: bytes
    name: str
    format: Format | None
    fields: Mapping[str, str]


NO_FILE = SentFile(b"", "the body", None, {})


class FileParser(BaseParser):
    """Reads a SentFile: the field `file` of a form, or the body. Raises MalformedBody, RequestDataTooBig."""

    media_type = "multipart/form-data"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: JsonMapping | None = None,
    ) -> Any:
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        content = stream.read(most + 1)
        if len(content) > most:
            raise RequestDataTooBig
        name = (media_type or "").partition(";")[0].strip().lower()
        if name != self.media_type:
            return SentFile(content, "the body", FORMATS.get(name), {})
        assert parser_context is not None
        request = parser_context["request"]._request
        try:
            form, files = MultiPartParser(
                {**request.META, "CONTENT_LENGTH": len(content)}, io.BytesIO(content), request.upload_handlers
            ).parse()
        except MultiPartParserError as error:
            raise MalformedBody(f"The form cannot be read: {error}") from error
        sent = files.get("file")
        if sent is None:
            raise InvalidInput("Send the file in the field file.", field="file")
        kind = FORMATS.get((sent.content_type or "").lower())
        return SentFile(
            sent.read(), sent.name or "file", kind, {name: str(text) for name, text in form.items()}
        )


class ImportViewSet(SegmentServiceViewSet):
    """Imports of files: of members and items of segments, and of segments."""

    tag = "Imports"
    has_page_parameters = False
    deletes_unknown = False
    shows_what_it_writes = False
    parser_classes = (FileParser,)

    def check_document_sizes(self) -> None:
        """A file is no document: the size of its rows is judged by the import."""

    @operation(
        "POST-customer-segment-import",
        scopes=MANAGE,
        parameters=PARAMETERS,
        request={"multipart/form-data": FORM},  # generated clients cannot choose between a form and others
        responses={202: ImportStatus},
        errors=(409,),
    )
    def submit(self, request: Request, tenant: str) -> HttpResponse:
        """Import a file in the background.

        The file is the field `file` of a form, or the body itself: text/csv, application/x-ndjson or, for an
        array, application/json. A request has at most 2.5 MiB. The columns are those of the import commands.
        The answer is 202; Location is where its progress is read.
        """
        sent = request.data if isinstance(request.data, SentFile) else NO_FILE  # an empty body is not parsed
        given = {**request.query_params.dict(), **sent.fields}
        kind = choice(given, "kind", tuple(KINDS))
        mode = choice({"mode": "upsert", **given}, "mode", MODES)
        resource = registered_resources()[KINDS[kind]]
        if Mode(mode) not in resource.modes:
            modes = " or ".join(each for each in MODES if Mode(each) in resource.modes)
            raise InvalidInput(f"{kind} have no mode {mode}; send {modes}.", field="mode")
        key = self.idempotency_key(longest=LONGEST_KEY)
        run = submit_import(
            Upload(
                kind=resource,
                mode=Mode(mode),
                tenant=self.caller.tenant,
                content=sent.content,
                name=sent.name.replace("\x00", ""),
                format=sent.format,
                is_dry_run=parameters.flag(given, "dryRun"),
                max_removed=given.get(MAX_REMOVED, "").strip()[:20],
                request_key=key,
            ),
            at=self.at,
        )
        response = json_response(self.status_of(run), status=202)
        response["Location"] = self.address_of(run)
        return response

    @operation("GET-customer-segment-retrieve-import", scopes=MANAGE, responses={200: ImportStatus})
    def read(self, request: Request, tenant: str, import_id: str) -> HttpResponse:
        """Read how far an import is, and what became of its rows.

        Its changes are in the history with the source `import` and its id. It can be undone once it has
        ended.
        """
        return json_response(self.status_of(self.run_of(import_id)))

    @operation(
        "GET-customer-segment-retrieve-import-rejects",
        scopes=MANAGE,
        parameters=(
            query_parameter("afterLine", "Read the refused rows behind this line.", type=int),
            parameters.response_header("Link", "Where the list goes on, with rel=next.", 200),
        ),
        responses={(200, "application/x-ndjson"): LINES, (200, "text/csv"): TABLE},
    )
    def rejects(self, request: Request, tenant: str, import_id: str) -> HttpResponse:
        """Read the refused rows of an import, 1,000 at a time, each a line of JSON.

        With `Accept: text/csv` they are CSV in the columns of the file that was sent, with three more:
        correct it, and send it as it is. They are kept for 30 days. Of members, what the rows hold needs
        customer.customer_read.
        """
        run = self.run_of(import_id)
        after = parameters.whole_number(
            request.query_params, "afterLine", default=-1, least=0, most=999_999_999_999
        )
        found = list(run.rejects.filter(line__gt=after).order_by("line", "id")[: REJECTS_OF_PAGE + 1])
        page = found[:REJECTS_OF_PAGE]
        if accepts_csv(request):
            response = HttpResponse(b"".join(self.csv_of(run, page)), content_type="text/csv; charset=utf-8")
            response["Content-Disposition"] = f'attachment; filename="import-{run.pk}-rejects.csv"'
        else:
            lines = b"".join(msgspec.json.encode(self.shown(run, row)) + b"\n" for row in page)
            response = HttpResponse(lines, content_type="application/x-ndjson")
        patch_vary_headers(response, ["Accept"])
        if len(found) > REJECTS_OF_PAGE:
            response["Link"] = f'<{self.address_of(run)}/rejects?afterLine={page[-1].line}>; rel="next"'
        return response

    @operation(
        "DELETE-customer-segment-cancel-import",
        scopes=MANAGE,
        responses={200: ImportStatus},
        errors=(404, 409),
    )
    def cancel(self, request: Request, tenant: str, import_id: str) -> HttpResponse:
        """Cancel an import.

        Rows that no worker has begun are left out; a batch that is being written is finished. What was
        written stays, and can be undone. An import that has ended, or that a command runs, is
        refused with 409.
        """
        return json_response(self.status_of(cancel_import(self.run_of(import_id), at=self.at)))

    @operation(
        "POST-customer-segment-undo-import",
        scopes=MANAGE,
        responses={202: ImportStatus},
        errors=(404, 409),
    )
    def undo(self, request: Request, tenant: str, import_id: str) -> HttpResponse:
        """Undo a whole import in the background.

        Rows that somebody has changed since are left alone. `undo` of the import says how far it is. Asked
        for again, nothing more happens. An import that has not ended is refused with 409, a dry run with 400.
        """
        run = self.run_of(import_id)
        if run.state != ImportState.UNDONE:
            with transaction.atomic():
                job_of(run, self.at)
        response = json_response(self.status_of(run), status=202)
        response["Location"] = self.address_of(run)
        return response

    def csv_of(self, run: ImportRun, rows: Sequence[ImportReject]) -> Iterator[bytes]:
        """Yield the lines of the refused rows as CSV, in the columns of the file if it was CSV."""
        header: JsonObject = run.file_header if self.shows_rows_of(run) else {}
        names = header.get("names")
        lines = RejectLines(
            Format.CSV,
            FileHeader(
                names or (["source"] if self.shows_rows_of(run) else []),
                delimiter=header.get("delimiter", ","),
            ),
        )
        yield lines.first_line()
        for row in rows:
            shown = self.shown(run, row)
            source = shown.source or ""
            yield lines.line(
                Refusal(row.line, row.reason, shown.message or "", source if names else quoted(source))
            )

    def run_of(self, import_id: str) -> ImportRun:
        runs = ImportRun.objects.filter(tenant=self.caller.tenant.id, kind__in=KIND_OF)
        run = runs.filter(pk=key_in(import_id)).first()
        if run is None:
            raise ImportNotFound(resource_id=import_id)
        return run

    def address_of(self, run: ImportRun) -> str:
        return f"/customer-segment/{self.caller.tenant.name}/imports/{run.pk}"

    def shows_rows_of(self, run: ImportRun) -> bool:
        """Say whether the caller may read what the rows of the import hold."""
        return run.kind not in PERSONAL or CUSTOMER_READ in self.caller.scopes

    def shown(self, run: ImportRun, row: ImportReject) -> RefusedRow:
        if not self.shows_rows_of(run):
            return RefusedRow(line=row.line, reason=row.reason)
        return RefusedRow(line=row.line, reason=row.reason, message=row.message, source=row.source)

    def status_of(self, run: ImportRun) -> ImportStatus:
        names = ImportCounts.__struct_fields__
        counts = ImportCounts(**{name: getattr(run, name) for name in names})
        refusals = run.rejects.order_by("line", "id")[:FIRST_REFUSALS] if run.refused else ()
        kind: Any = KIND_OF[run.kind]
        state: Any = run.state
        return ImportStatus(
            id=str(run.pk),
            kind=kind,
            mode=run.mode,
            dry_run=run.is_dry_run,
            state=state,
            counts=counts,
            remaining=sum(run.parts.values_list("count", flat=True)),
            refused_by_reason=run.refused_by_reason,
            first_refusals=[self.shown(run, row) for row in refusals],
            rejects=f"{self.address_of(run)}/rejects",
            message=run.message,
            started_at=format_time(run.started_at),
            finished_at=format_time(run.finished_at) if run.finished_at else None,
            undo=undo_of(run) if state not in (ImportState.PREPARED, ImportState.RUNNING) else None,
        )


def undo_of(run: ImportRun) -> ImportUndo | None:
    job = last_undo(run)
    if job is None:
        return None
    undone, state = Undone.from_json(job.result), cast(Any, job.state)
    return ImportUndo(state=state, rows=undone.total, left_alone=undone.total_left)


def accepts_csv(request: Request) -> bool:
    """Say whether the caller wants CSV rather than lines of JSON."""
    return "text/csv" in request.headers.get("Accept", "").lower()


def quoted(text: str) -> str:
    """Return a text as the only value of a line of CSV."""
    return '"' + text.replace('"', '""') + '"'


def choice(given: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> str:
    """Return a field that is one of some words."""
    value = given.get(name, "").strip().lower()
    if value not in allowed:
        raise InvalidInput(f"{name} is one of {', '.join(allowed)}, not {value[:40]!r}.", field=name)
    return value
