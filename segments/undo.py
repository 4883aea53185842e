"""Changes of segments can be taken back; those of members and items are by their declarations."""

from core.journal.undo.rules import UndoRule, register_undo

register_undo(UndoRule(object="segment"))
