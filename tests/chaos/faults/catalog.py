"""All faults, and their selection by name."""

from tests.chaos.faults import (
    data_loss,
    junk_notifications,
    junk_queue_items,
    junk_redis_keys,
    junk_rows,
    junk_triggers,
    networks,
    processes,
    queue_messages,
    servers,
    users,
)
from tests.chaos.faults.registry import FAULTS, Fault

NO_FAULTS = "none"
MODULES = (  # imported to register their faults
    data_loss,
    junk_notifications,
    junk_queue_items,
    junk_redis_keys,
    junk_rows,
    junk_triggers,
    networks,
    processes,
    queue_messages,
    servers,
    users,
)


class UnknownFault(ValueError):
    """A word that no fault's name contains."""


def select_faults(words: str, *, lose_data: bool) -> list[Fault]:
    """Return the faults whose names contain one of the comma-separated words; all if there are none."""
    available = [fault for fault in FAULTS if lose_data or not fault.loses_data]
    if not words:
        return available
    if words == NO_FAULTS:
        return []
    parts = [word.strip() for word in words.split(",")]
    for part in parts:
        if not any(part in fault.name for fault in available):
            names = "; ".join(fault.name for fault in available)
            raise UnknownFault(f'FAULTS is "{part}", which no name of a fault contains; the names are: {names}')
    return [fault for fault in available if any(part in fault.name for part in parts)]
