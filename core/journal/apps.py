from importlib import import_module

from django.apps import AppConfig
from django.db.models.signals import post_migrate

from core.journal.declarations import leave_out

OF_DJANGO = {
    "admin.LogEntry": "the admin's own log of what the journal does not record",
    "auth.Permission": "made by migrations from the code",
    "contenttypes.ContentType": "made by migrations from the code",
    "sessions.Session": "a visit to the admin",
}
OF_CORE = {
    "accounts.Erasure": "the record of an erasure, which is never changed",
    "background.Job": "work that was asked for; its changes have the actor who asked",
    "background.TaskState": "when a background task is due next",
    "background.Worker": "the heartbeat of a worker",
    "imports.ImportChange": "what an import did, for taking it back",
    "imports.ImportCreation": "what an import did, for taking it back",
    "imports.ImportPart": "rows of a pasted list that wait to be added",
    "imports.ImportReject": "rows that an import did not write",
    "journal.Beginning": "the journal itself",
    "journal.Change": "the journal itself",
    "revisions.Revision": "counts what other changes follow from",
}


class JournalConfig(AppConfig):
    name = "core.journal"
    label = "journal"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        leave_out(OF_DJANGO | OF_CORE)
        import_module("core.journal.personal_data")
        import_module("core.journal.readings")
        import_module("core.journal.undo.jobs")
        import_module("core.journal.undo.occasions")
        installation = import_module("core.journal.installation")  # needs the models
        post_migrate.connect(installation.install_after_migrate, sender=self)
