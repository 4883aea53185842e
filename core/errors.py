"""What can go wrong, without HTTP: errors carry their facts, `core.api.errors` makes responses of them."""

from collections.abc import Sequence
from typing import NamedTuple


class DomainError(Exception):
    """A rule said no. `code` is stable and may be shown to clients; the message says which rule and why."""

    code = "domain_error"

    def __init__(self, message: str, *, field: str = "", resource_id: str = ""):
        super().__init__(message)
        self.message = message
        self.field = field
        self.resource_id = resource_id


class InvalidInput(DomainError):
    """What the client sent breaks a rule; `field` names the part."""

    code = "invalid_input"


class TooMuchToDelete(InvalidInput):
    """More rows would be deleted along than one transaction may hold locked."""

    code = "too_much_to_delete"


MOST_DELETED_ALONG = 200_000
"""How many rows a deletion takes along at most: meanwhile it holds what others wait for."""


class MalformedBody(InvalidInput):
    """The body is not what the operation reads: not JSON, too large, or of the wrong shape."""

    code = "malformed_body"


class Problem(NamedTuple):
    """One thing that is wrong with a body: the path of the field, a stable type, and a sentence."""

    field: str
    type: str
    message: str


class InvalidBody(InvalidInput):
    """Fields of the body break rules; `problems` names all of them. The first one is the error's `field`."""

    code = "validation_violation"

    def __init__(self, problems: Sequence[Problem | tuple[str, str, str]], message: str = "") -> None:
        self.problems = [Problem(*problem) for problem in problems]
        sentences = [
            text if not field or text.startswith(field) else f"{field}: {text}"
            for field, _, text in self.problems
        ]
        super().__init__(message or " ".join(sentences), field=self.problems[0].field)


class NotFound(DomainError):
    """What the client named does not exist for it."""

    code = "not_found"

    def __init__(self, message: str = "", *, field: str = "", resource_id: str = ""):
        message = message or f"The resource with id {resource_id} has not been found."
        super().__init__(message, field=field, resource_id=resource_id)


class Gone(DomainError):
    """What is asked for was there, and is not kept any more."""

    code = "gone"


class Conflict(DomainError):
    """The write contradicts what is stored."""

    code = "conflict"


class AlreadyExists(Conflict):
    """The identifier or another unique value is taken."""

    code = "already_exists"

    def __init__(
        self, message: str = "The resource already exists.", *, field: str = "", resource_id: str = ""
    ):
        super().__init__(message, field=field, resource_id=resource_id)


class VersionConflict(Conflict):
    """The caller changed an older version than the stored one."""

    code = "version_conflict"

    def __init__(self, *, expected: int, stored: int, resource_id: str = ""):
        super().__init__(
            f"The resource you are attempting to access has changed: "
            f"version {expected} was sent, version {stored} is stored.",
            field="metadata.version",
            resource_id=resource_id,
        )
        self.expected = expected
        self.stored = stored


class PreconditionFailed(DomainError):
    """What a conditional request asks for does not hold."""

    code = "precondition_failed"


class OtherVersion(PreconditionFailed):
    """The header If-Match does not name the `stored` version (None: there is no document)."""

    def __init__(self, stored: int | None):
        found = "the resource does not exist" if stored is None else f"version {stored} is stored"
        super().__init__(
            f"If-Match does not name the present version: {found}. Read the resource again.",
            field="If-Match",
        )


class AlreadyThere(PreconditionFailed):
    """The header If-None-Match names the stored version, or any: the write is for what is not there."""

    def __init__(self) -> None:
        super().__init__(
            "If-None-Match names what is stored: the resource exists. Read the resource again.",
            field="If-None-Match",
        )


class NotAllowed(DomainError):
    """The caller may not do this, whatever the data says."""

    code = "not_allowed"


class MissingScope(NotAllowed):
    """The token lacks every scope that would allow the operation."""

    code = "missing_scope"

    def __init__(self, scopes: tuple[str, ...]):
        super().__init__(f"The token lacks the scope {' or '.join(scopes)}.")
        self.scopes = scopes


class NotAuthenticated(DomainError):
    """No token, or one that is not valid (any more). `challenge` is the header WWW-Authenticate."""

    code = "not_authenticated"
    challenge = "Bearer"


class MissingAccessToken(NotAuthenticated):
    """The request has no access token."""

    challenge = 'Bearer error_description="The access token is missing"'

    def __init__(self) -> None:
        super().__init__("Invalid access token")


class TooManyAttempts(DomainError):
    """The caller must wait `retry_after` seconds before it tries again."""

    code = "too_many_attempts"

    def __init__(self, message: str, *, retry_after: int):
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(DomainError):
    """The service could not do it now; trying again after `retry_after` seconds may help."""

    code = "unavailable"

    def __init__(self, message: str, *, retry_after: int = 1):
        super().__init__(message)
        self.retry_after = retry_after


class Overloaded(Unavailable):
    """The process is busy with as much of this work as it does at once."""

    code = "overloaded"


class Busy(Unavailable):
    """Another transaction holds what this one needs, and did not let go of it in time."""

    code = "busy"

    def __init__(self, message: str = "", *, retry_after: int = 1):
        message = message or "Someone else is changing this; nothing was changed. Try again in a moment."
        super().__init__(message, retry_after=retry_after)
