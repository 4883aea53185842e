"""Who may publish, and who may take back what is published."""

from dataclasses import dataclass

from core.errors import MissingScope


@dataclass(frozen=True, slots=True)
class Publication:
    """Whether the writer may turn `published` on, and off."""

    may_publish: bool = True
    may_unpublish: bool = True

    def refusal(self, was: bool, becomes: bool, *, publish: str, unpublish: str) -> MissingScope | None:
        """Return the error of a change that the writer may not make, naming the scope that it needs."""
        if becomes and not was and not self.may_publish:
            return MissingScope((publish,))
        if was and not becomes and not self.may_unpublish:
            return MissingScope((unpublish,))
        return None


ANY_PUBLICATION = Publication()
