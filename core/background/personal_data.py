"""What the columns of the background work hold, and how a customer is erased there."""

from core.background.models import Job, TaskState, Worker
from core.personal_data.customers import CustomerTrace, Eraser, register_eraser
from core.personal_data.declarations import ERASE, KEEP, declare, each
from core.sql.composition import Sql, param, sql
from core.sql.fetching import execute

declare(
    Job,
    {
        **each(KEEP("a name in the code"), "kind", "state"),
        **each(KEEP("keys and options only, by the rule of JobKind"), "arguments", "progress"),
        "requested_by": KEEP("a member of staff, an API client or an account of the operating system"),
        **each(ERASE, "result", "error"),
    },
)
declare(TaskState, {"name": KEEP("a name in the code"), "error": ERASE})
declare(Worker, {"name": KEEP("a host and a process")})


def erase(trace: CustomerTrace) -> dict[str, int]:
    """Empty results and errors that mention the customer; those of tasks belong to no tenant."""
    jobs = execute(
        sql(
            "UPDATE background_job SET result = '{{}}', error = ''"
            " WHERE tenant_id = {tenant} AND {mentioned}",
            tenant=param(trace.tenant_id),
            mentioned=trace.clearly_mentioned_in(Sql("result::text || ' ' || error")),
        )
    )
    execute(
        sql(
            "UPDATE background_taskstate SET error = 'erased' WHERE {mentioned}",
            mentioned=trace.clearly_mentioned_in(Sql("error")),
        )
    )
    return {"jobs": jobs}


register_eraser(Eraser("background", erase))
