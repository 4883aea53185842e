"""What the columns of imports hold, and how a customer is erased there."""

from core.imports.models import ImportChange, ImportPart, ImportReject, ImportRun
from core.personal_data.customers import (
    CustomerTrace,
    Eraser,
    Exporter,
    exported,
    register_eraser,
    register_exporter,
)
from core.personal_data.declarations import ERASE, KEEP, declare, each
from core.sql.composition import Sql, param, sql
from core.sql.fetching import execute

ERASED = "Erased: it mentioned a customer who has been erased."

declare(
    ImportRun,
    {
        **each(KEEP("a name in the code"), "kind", "mode", "state", "refused_by_reason"),
        **each(KEEP("an account and a host of the operator"), "started_by", "host"),
        **each(KEEP("the file, not a row of it"), "file_name", "file_digest", "file_header"),
        **each(KEEP("how the import was asked for"), "max_removed", "request_key"),
        **each(KEEP("numbers of lines and keys of rows"), "committed_slice", "committed_ahead"),
        "message": ERASE,
    },
)
declare(ImportReject, {"reason": KEEP("a name in the code"), **each(ERASE, "message", "source")})
declare(ImportChange, {"before": ERASE})
declare(ImportPart, {"rows": ERASE})


def of_tenant(trace: CustomerTrace) -> Sql:
    return sql(
        "run_id IN (SELECT id FROM imports_importrun WHERE tenant_id = {tenant})",
        tenant=param(trace.tenant_id),
    )


def erase(trace: CustomerTrace) -> dict[str, int]:
    """Empty refused rows and messages that mention the customer; delete how the assignments were before.

    Undo is kept for assignments only, and those of this customer can no longer be put back.
    """
    rejects = execute(
        sql(
            "UPDATE imports_importreject SET source = '', message = {erased} WHERE {tenant} AND {mentioned}",
            erased=param(ERASED),
            tenant=of_tenant(trace),
            mentioned=trace.mentioned_in(Sql("source || ' ' || message")),
        )
    )
    messages = execute(
        sql(
            "UPDATE imports_importrun SET message = {erased} WHERE tenant_id = {tenant} AND {mentioned}",
            erased=param(ERASED),
            tenant=param(trace.tenant_id),
            mentioned=trace.mentioned_in(Sql("message")),
        )
    )
    changes = execute(
        sql(
            "DELETE FROM imports_importchange WHERE {tenant} AND before ->> 'customer_id' = {customer}",
            tenant=of_tenant(trace),
            customer=param(str(trace.customer_id)),
        )
    )
    parts = execute(
        sql(
            "DELETE FROM imports_importpart WHERE {tenant} AND {mentioned}",
            tenant=of_tenant(trace),
            mentioned=trace.mentioned_in(Sql("rows::text")),
        )
    )
    return {
        "importRejects": rejects,
        "importMessages": messages,
        "importChanges": changes,
        "importParts": parts,
    }


def export(trace: CustomerTrace) -> dict[str, object]:
    columns = {name: name for name in ("line", "reason", "message", "source")}
    rejects = sql(
        "FROM imports_importreject WHERE {tenant} AND {mentioned} ORDER BY run_id, line",
        tenant=of_tenant(trace),
        mentioned=trace.mentioned_in(Sql("source || ' ' || message")),
    )
    return {"importRejects": exported({"import": "run_id", **columns}, rejects)}


register_eraser(Eraser("imports", erase))
register_exporter(Exporter("imports", export))
