"""Time of queueing of the messages in the queue, to which anyone may write."""

from datetime import UTC, datetime

import pytest

from core.queue.batch import queued_at_of

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "queued_at", ["2026-11-24T12:00:00+00:00", "2026-11-24T12:00:00.000Z", "2026-11-24T13:00+01:00"]
)
def test_queued_at_is_read_from_the_header_of_a_message(queued_at: str) -> None:
    raw = f'{{"headers": {{"queued_at": "{queued_at}"}}}}'

    assert queued_at_of(raw.encode()) == NOON


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\xfe",
        b"not JSON",
        b"[]",
        b"null",
        b"{}",
        b'{"headers": null}',
        b'{"headers": []}',
        b'{"headers": {}}',
        b'{"headers": {"due_at": "2026-11-24T12:00:00.000+00:00"}}',  # of an earlier version without the header
        b'{"headers": {"queued_at": null}}',
        b'{"headers": {"queued_at": 1795521600}}',
        b'{"headers": {"queued_at": "at noon"}}',
        b'{"headers": {"queued_at": "2026-11-24T12:00:00"}}',  # without an offset
        b'{"headers": {"queued_at": "0001-01-01T00:00:00+14:00"}}',  # before the first year in UTC
    ],
)
def test_queued_at_of_a_foreign_message_is_none(raw: bytes) -> None:
    assert queued_at_of(raw) is None
