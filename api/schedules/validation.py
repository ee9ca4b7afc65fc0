"""The gate's words, as problems: each fault with the place of the value in the body."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from psycopg2.errors import CheckViolation, ForeignKeyViolation

from api.backends import backends
from api.contract.field_errors import MAX_FIELD_ERRORS, json_pointer, problem_with
from api.problems import FieldError, ScheduleRejected
from api.schedules import queries
from api.schedules.queries import NewSchedule

Location = tuple[str | int, ...]


@contextmanager
def explained(wanted: Sequence[NewSchedule], location: Callable[[int], Location]) -> Iterator[None]:
    """Raise ScheduleRejected with all errors of the schedules; location(n) is that of the n-th one in the body.

    The gate itself stops at the first fault, so it is asked about all of them, when nothing of them is saved.
    """
    try:
        yield
    except (CheckViolation, ForeignKeyViolation):
        with backends().database.autocommit() as statements:
            found = queries.refusals(statements, wanted, MAX_FIELD_ERRORS)
        if not found:  # whoever changed the gate meanwhile: then its first words will do
            raise
        raise problem_with(
            (
                FieldError(detail, json_pointer((*location(place), field)), hint=hint)
                for place, (field, detail, hint) in found
            ),
            ScheduleRejected,
        ) from None
