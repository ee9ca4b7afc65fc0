"""The gate's words, as problems: each fault with the place of the value in the body."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from psycopg2.errors import CheckViolation, ForeignKeyViolation

from api.backends import services
from api.contract.operation import MOST_FAULTS, invalid, pointer
from api.problems import Fault, Refused
from api.schedules import queries
from api.schedules.queries import NewSchedule

Location = tuple[str | int, ...]


@contextmanager
def explained(wanted: Sequence[NewSchedule], location: Callable[[int], Location]) -> Iterator[None]:
    """Raise Refused where the gate refuses any of the schedules; location says where the body has the n-th of them.

    The gate itself stops at the first fault, so it is asked about all of them, when nothing of them is saved.
    """
    try:
        yield
    except (CheckViolation, ForeignKeyViolation):
        with services().database.reading() as statements:
            found = queries.refusals(statements, wanted, MOST_FAULTS)
        if not found:  # whoever changed the gate meanwhile: then its first words will do
            raise
        raise invalid(
            (Fault(detail, pointer((*location(place), field)), hint=hint) for place, (field, detail, hint) in found),
            Refused,
        ) from None
