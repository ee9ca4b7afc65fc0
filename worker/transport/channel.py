"""Consumption of the queue: each message is moved to the list of taken messages, then recorded as unacknowledged."""

import logging
import time
from contextlib import suppress
from queue import Empty
from typing import Any

from kombu.transport import redis as kombu_redis
from redis.exceptions import ConnectionError, ResponseError  # noqa: A004  # redis-py calls it so

from core.lua_scripts import read_script
from core.queue import celery_message
from core.queue.keys import QUEUE, TAKEN_KEY
from core.shared_keys import remove_wrong_types
from worker.transport import qos
from worker.transport.errors import CONNECTION_ERRORS

log = logging.getLogger(__name__)

ERROR_REPLY_DELAY = 1.0  # seconds; a Redis that is full, or has become a replica, replies with an error at once

RECORD_UNACKED = read_script(__package__, "scripts/record_unacked.lua")
REQUEUE_TAKEN = read_script(__package__, "scripts/requeue_taken.lua")


class Channel(kombu_redis.Channel):
    """Consumes one queue, without priorities.

    Relies on kombu calling _brpop_start() and _brpop_read() in turns, and QoS.append() while _deliver() runs.
    """

    QoS = qos.QoS
    current_item: bytes  # the message that is being delivered, as it was in the queue
    _has_failed: bool = False  # the last reply was an error
    _blmove_sent: bool = False  # the pending reply is that of BLMOVE

    @property
    def is_consuming(self) -> bool:
        """True for the channel of the queue; others receive replies of remote control."""
        return bool(self.active_queues == [QUEUE])

    def handle_error_reply(self, error: ResponseError) -> None:
        """Log an error of Redis, and delete keys of another type than expected, which may have caused it."""
        log.warning("Redis replied with an error: %s", error)
        with suppress(ResponseError), self.conn_or_acquire() as client:
            remove_wrong_types(client)

    def record_unacked(self, items: list[bytes]) -> None:
        """Record taken messages as unacknowledged; those that cannot be parsed are dropped."""
        if items:
            self._run_script(RECORD_UNACKED, [TAKEN_KEY, self.unacked_key, self.unacked_index_key], items)

    def _run_script(self, script: str, keys: list[str], items: list[bytes]) -> None:
        with self.conn_or_acquire() as client:
            client.register_script(script)(keys=keys, args=items)

    def _brpop_start(self, timeout: float | None = None) -> None:
        self._blmove_sent = self.is_consuming
        if not self._blmove_sent:
            super()._brpop_start(timeout)
            return
        self._in_poll = self.client.connection
        self._brpop_sent_at = time.monotonic()  # type: ignore[assignment]  # kombu's default is None
        command = ["BLMOVE", QUEUE, TAKEN_KEY, "RIGHT", "LEFT", timeout or self.brpop_timeout]
        self.client.connection.send_command(*command)

    def _brpop_read(self, **options: Any) -> bool:
        if not self._blmove_sent:
            return bool(super()._brpop_read(**options))
        try:
            item = self.client.parse_response(self.client.connection, "BLMOVE", **options)
            if item:
                self._deliver_item(item)
            self._has_failed = False
        except CONNECTION_ERRORS:
            self.client.connection.disconnect()
            raise
        except ResponseError as error:
            if not self._has_failed:
                self.handle_error_reply(error)
            self._has_failed = True
            item = b""
            time.sleep(ERROR_REPLY_DELAY)
        finally:
            self._in_poll = None  # type: ignore[assignment]  # as kombu does
        if not item:
            raise Empty
        return True

    def _deliver_item(self, item: bytes) -> None:
        """Deliver a message to Celery. One that fails to decode is redelivered once, then dropped."""
        if not self.is_consuming:  # the worker is shutting down, and this is the reply to its last BLMOVE
            self._run_script(REQUEUE_TAKEN, [TAKEN_KEY, QUEUE], [item])
            return
        try:
            message = celery_message.decode(item)
        except celery_message.ForeignMessage:
            log.error("dropped a foreign message: %.80r", item)  # noqa: TRY400
            with self.conn_or_acquire() as client:
                client.lrem(TAKEN_KEY, 1, item)
            return
        self.current_item = item
        try:
            self.connection._deliver(message, QUEUE)  # noqa: SLF001  # as kombu does
        except (*CONNECTION_ERRORS, ResponseError):
            raise
        except Exception as error:
            log.error("message not decoded: %r in %.200r", error, item)  # noqa: TRY400
            self.record_unacked([item])
            properties = message["properties"]
            self.qos.reject(properties["delivery_tag"], requeue=not properties["delivery_info"]["redelivered"])

    def _queue_bind(self, *args: Any) -> None:
        try:
            super()._queue_bind(*args)
        except ResponseError as error:
            self.handle_error_reply(error)
            time.sleep(ERROR_REPLY_DELAY)  # Celery reconnects at once
            raise

    def maybe_refresh_binding_expiry(self) -> None:
        """Keep the remote control queue alive; errors of Redis would log a traceback each second."""
        with suppress(ResponseError):
            super().maybe_refresh_binding_expiry()

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        # After a lost connection, kombu and Celery still try to acknowledge on the old channel. Without an address to
        # connect to, an AttributeError would end the worker; a lost connection is logged.
        if self.connection is None or self.connection.client is None:
            raise ConnectionError("the connection to Redis was lost")
        params: dict[str, Any] = super()._connparams(asynchronous)
        return params
