"""What is read from a message as it lies in the queue, whoever put it there."""

from datetime import UTC, datetime

import pytest

from core.queue.batch import queued_at_of

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "queued_at", ["2026-11-24T12:00:00+00:00", "2026-11-24T12:00:00.000Z", "2026-11-24T13:00+01:00"]
)
def test_a_message_says_when_it_was_queued(queued_at: str) -> None:
    raw = f'{{"headers": {{"queued_at": "{queued_at}"}}}}'

    assert queued_at_of(raw.encode()) == NOON


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\xfe",
        b"not ours",
        b"[]",
        b"null",
        b"{}",
        b'{"headers": null}',
        b'{"headers": []}',
        b'{"headers": {}}',
        b'{"headers": {"due_at": "2026-11-24T12:00:00.000+00:00"}}',  # of a version that did not say it
        b'{"headers": {"queued_at": null}}',
        b'{"headers": {"queued_at": 1795521600}}',
        b'{"headers": {"queued_at": "at noon"}}',
        b'{"headers": {"queued_at": "2026-11-24T12:00:00"}}',  # of any zone
        b'{"headers": {"queued_at": "0001-01-01T00:00:00+14:00"}}',  # before the first year in UTC
    ],
)
def test_a_message_of_somebody_else_does_not_say_it(raw: bytes) -> None:
    assert queued_at_of(raw) is None
