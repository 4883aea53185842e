from django.db.utils import OperationalError


class EmbeddedPostgresError(OperationalError):
    """The embedded server cannot run here. The message says why and what to do."""
