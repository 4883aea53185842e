"""What imports did to customers, legal entities and contacts can be taken back, but for passwords."""

from collections.abc import Sequence

from core.journal.undo.changes import ChangeRow
from core.journal.undo.rules import UndoRule, register_undo
from core.sql.composition import param, sql
from core.sql.fetching import execute


def lock_tenant(tenant_id: int, changes: Sequence[ChangeRow]) -> None:
    """Take the lock that moving and deleting legal entities take (docs/locking.md)."""
    execute(sql("SELECT FROM tenancy_tenant WHERE id = {tenant} FOR NO KEY UPDATE", tenant=param(tenant_id)))


register_undo(
    UndoRule(object="customer", by_itself=False),
    UndoRule(object="legal-entity", by_itself=False, prepare=lock_tenant),
    UndoRule(object="contact-assignment", by_itself=False),
)
