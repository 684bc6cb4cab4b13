"""A part of a plan that is checked when it is made."""

from __future__ import annotations

from curate.errors import Refused
from train_probe.settings import mistakes


class PlanError(Refused):
    """The plan, or a file it names, is invalid; the message says where, and what would be right."""


class Checked:
    """A part of a plan, which raises PlanError when it is made with an invalid value. Messages begin with the name of
    the class; for a plan read from JSON, with the place in the file instead."""

    def __post_init__(self) -> None:
        for name, mistake in mistakes(self):
            raise self._error(mistake, f".{name}")
        self._fits_together()

    def _fits_together(self) -> None:
        """Raises PlanError where values that are allowed do not go with each other."""

    def _error(self, message: str, field: str = "") -> PlanError:
        return PlanError(f"{type(self).__name__}{field}: {message}")
