"""Unacknowledged messages."""

import logging
from typing import Any

from celery.worker import state
from kombu.transport import redis as kombu_redis
from kombu.transport import virtual
from kombu.transport.virtual import Message
from redis.exceptions import ResponseError

from core.queue.keys import TAKEN_KEY
from worker.transport.errors import CONNECTION_ERRORS

log = logging.getLogger(__name__)


class QoS(kombu_redis.QoS):
    """The messages that this worker has taken and not acknowledged yet."""

    def append(self, message: Message, delivery_tag: str) -> None:
        """Record a message that was taken."""
        if self.channel.is_consuming:
            self.channel.record_unacked([self.channel.current_item])
            virtual.QoS.append(self, message, delivery_tag)
        else:
            super().append(message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Remove a finished message."""
        try:
            super().ack(delivery_tag)
        except ResponseError as error:
            self.channel.handle_error_reply(error)
            super().ack(delivery_tag)

    def restore_unacked_once(self, stderr: Any = None) -> None:
        """Requeue all messages when the worker ends, and only then.

        After a lost connection the batches are still being calculated. A requeued one would be calculated twice at the
        same time, and look interrupted.
        """
        if state.should_stop is not None or state.should_terminate is not None:
            super().restore_unacked_once(stderr)
        else:
            self._on_collect.cancel()  # nor at the end of the process, when they are finished

    def restore_visible(self, start: int = 0, num: int | None = None, interval: int = 1) -> None:  # noqa: ARG002
        """Requeue messages whose visibility timeout has passed, of any worker: it has died."""
        try:
            with self.channel.conn_or_acquire() as client:
                self.channel.record_unacked(client.lrange(TAKEN_KEY, 0, -1))
                oldest = client.time()[0] - self.visibility_timeout
                for tag in client.zrange(self.unacked_index_key, "-inf", oldest, byscore=True):
                    self._requeue_or_drop(tag, client)
        except ResponseError as error:
            self.channel.handle_error_reply(error)

    def _requeue_or_drop(self, tag: bytes, client: Any) -> None:
        """Requeue one message; drop one that cannot be parsed, else it would block all that were taken after it."""
        try:
            self.restore_by_tag(tag, client)
        except (*CONNECTION_ERRORS, ResponseError):
            raise
        except Exception as error:
            log.error("dropped a foreign message: %.80r (%r)", tag, error)  # noqa: TRY400
            client.zrem(self.unacked_index_key, tag)
            client.hdel(self.unacked_key, tag)
        else:
            log.warning("requeued a message that was taken %s s ago", self.visibility_timeout)
