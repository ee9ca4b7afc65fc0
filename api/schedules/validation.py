"""Errors of the validation trigger, as problems with the locations of the values in the request body."""

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
def translate_db_errors(schedules: Sequence[NewSchedule], location: Callable[[int], Location]) -> Iterator[None]:
    """Raise ScheduleRejected with all errors of the schedules; location(n) is that of the n-th one in the body.

    The trigger itself stops at the first error, so all schedules are validated again after the rollback.
    """
    try:
        yield
    except (CheckViolation, ForeignKeyViolation):
        with backends().database.autocommit() as cur:
            errors = queries.validate_schedules(cur, schedules, MAX_FIELD_ERRORS)
        if not errors:  # the rules have changed meanwhile; the error of the trigger will do
            raise
        raise problem_with(
            (
                FieldError(error.detail, json_pointer((*location(error.schedule_index), error.field)), hint=error.hint)
                for error in errors
            ),
            ScheduleRejected,
        ) from None
