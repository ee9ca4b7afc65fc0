"""How workers take messages from Redis: at no moment is a message in nobody's hands.

kombu pops a message (BRPOP) and notes it as unacknowledged in a second step, by the
clock of its own host. What is popped when a worker or the connection ends between the
two is lost, and a clock that is off makes batches come back at once, or hours later.
Here a message is moved (BLMOVE) to a list of taken ones, from where it is noted and
removed in one step, by the clock of Redis; any worker notes what another one left there.
"""

import logging
import random
import time
from contextlib import suppress
from queue import Empty
from typing import Any

import celery.app.amqp
from celery.worker import state
from kombu import connection as kombu_connection
from kombu.transport import redis as kombu_redis
from kombu.transport import virtual
from kombu.transport.virtual import Message
from redis.exceptions import ConnectionError, ResponseError, TimeoutError  # noqa: A004  # redis-py calls them so

from core.queue import celery_message
from core.queue.keys import QUEUE, TAKEN_KEY
from core.shared_keys import remove_wrong_types

log = logging.getLogger(__name__)

LOST = (ConnectionError, TimeoutError, OSError)  # kombu counts KeyError among them, too
REFUSED_PAUSE = 1.0  # seconds; a Redis that is full, or a replica by now, refuses at once

# What is not in the list any more was noted by somebody else, and may be finished by now.
NOTE = """
local taken, unacked, index = KEYS[1], KEYS[2], KEYS[3]
local now = redis.call('TIME')[1]
-- A script that ends in the middle would have taken a message from the list, and noted it nowhere.
for key, kind in pairs({[unacked] = 'hash', [index] = 'zset'}) do
    local found = redis.call('TYPE', key).ok
    if found ~= kind and found ~= 'none' then
        redis.call('DEL', key)
    end
end
for _, item in ipairs(ARGV) do
    if redis.call('LREM', taken, 1, item) == 1 then
        local read, message = pcall(cjson.decode, item)
        local known, tag, exchange, key = pcall(function()
            local info = message.properties.delivery_info
            return message.properties.delivery_tag, info.exchange, info.routing_key
        end)
        if read and known and type(tag) == 'string' then
            redis.call('ZADD', index, now, tag)
            local route = cjson.encode(exchange) .. ',' .. cjson.encode(key)
            redis.call('HSET', unacked, tag, '[' .. item .. ',' .. route .. ']')
        end
    end
end
"""

PUT_BACK = """
if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 1 then
    redis.call('RPUSH', KEYS[2], ARGV[1])
end
"""


class QoS(kombu_redis.QoS):
    """The messages that this worker has taken and not acknowledged yet."""

    def append(self, message: Message, delivery_tag: str) -> None:
        """Note a message that was taken."""
        if self.channel.takes:
            self.channel.note([self.channel.item])
            virtual.QoS.append(self, message, delivery_tag)
        else:
            super().append(message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Remove a message that is done."""
        try:
            super().ack(delivery_tag)
        except ResponseError as error:
            self.channel.refused(error)
            super().ack(delivery_tag)

    def restore_unacked_once(self, stderr: Any = None) -> None:
        """Give everything back at the end of the worker, and only then.

        After a lost connection the batches are still at work. One that came back at once would be done twice at the
        same time, and look interrupted.
        """
        if state.should_stop is not None or state.should_terminate is not None:
            super().restore_unacked_once(stderr)
        else:
            self._on_collect.cancel()  # nor at the end of the process, when they are done

    def restore_visible(self, start: int = 0, num: int | None = None, interval: int = 1) -> None:  # noqa: ARG002
        """Give back what was taken too long ago, by whichever worker: it does not live any more."""
        try:
            with self.channel.conn_or_acquire() as client:
                self.channel.note(client.lrange(TAKEN_KEY, 0, -1))
                oldest = client.time()[0] - self.visibility_timeout
                for tag in client.zrange(self.unacked_index_key, "-inf", oldest, byscore=True):
                    self._restore_or_drop(tag, client)
        except ResponseError as error:
            self.channel.refused(error)

    def _restore_or_drop(self, tag: bytes, client: Any) -> None:
        """Give one message back; one that cannot be read must not keep back all that were taken after it."""
        try:
            self.restore_by_tag(tag, client)
        except (*LOST, ResponseError):
            raise
        except Exception as error:
            log.error("dropped what is no message of ours: %.80r (%r)", tag, error)  # noqa: TRY400
            client.zrem(self.unacked_index_key, tag)
            client.hdel(self.unacked_key, tag)
        else:
            log.warning("a message that was taken %s s ago is given back", self.visibility_timeout)


class Channel(kombu_redis.Channel):
    """Takes messages of one queue, without priorities."""

    QoS = QoS
    item: bytes  # the message at hand, as it lay in the queue
    _refused: bool = False
    _taking: bool = False  # whether what Redis is being asked for is a message of the queue

    @property
    def takes(self) -> bool:
        """Whether it serves the queue; other channels hear the answers to a ping."""
        return bool(self.active_queues == [QUEUE])

    def refused(self, error: ResponseError) -> None:
        """Log what Redis refuses, and remove it from the way where that is a key of another type than ours."""
        log.warning("Redis refuses: %s", error)
        with suppress(ResponseError), self.conn_or_acquire() as client:
            remove_wrong_types(client)

    def note(self, items: list[bytes]) -> None:
        """Note messages from the list of taken ones as unacknowledged; what is no message is dropped."""
        if items:
            self._run(NOTE, [TAKEN_KEY, self.unacked_key, self.unacked_index_key], items)

    def _run(self, script: str, keys: list[str], items: list[bytes]) -> None:
        with self.conn_or_acquire() as client:
            client.register_script(script)(keys=keys, args=items)

    def _brpop_start(self, timeout: float | None = None) -> None:
        self._taking = self.takes
        if not self._taking:
            super()._brpop_start(timeout)
            return
        self._in_poll = self.client.connection
        self._brpop_sent_at = time.monotonic()  # type: ignore[assignment]  # kombu's default is None
        command = ["BLMOVE", QUEUE, TAKEN_KEY, "RIGHT", "LEFT", timeout or self.brpop_timeout]
        self.client.connection.send_command(*command)

    def _brpop_read(self, **options: Any) -> bool:
        if not self._taking:
            return bool(super()._brpop_read(**options))
        try:
            item = self.client.parse_response(self.client.connection, "BLMOVE", **options)
            if item:
                self._hand_over(item)
            self._refused = False
        except LOST:
            self.client.connection.disconnect()
            raise
        except ResponseError as error:
            if not self._refused:
                self.refused(error)
            self._refused = True
            item = b""
            time.sleep(REFUSED_PAUSE)
        finally:
            self._in_poll = None  # type: ignore[assignment]  # as kombu does
        if not item:
            raise Empty
        return True

    def _hand_over(self, item: bytes) -> None:
        """Give a message to Celery. One that makes it stumble comes back once, and is dropped then."""
        if not self.takes:  # the worker ends, and this is the answer to its last question
            self._run(PUT_BACK, [TAKEN_KEY, QUEUE], [item])
            return
        try:
            message = celery_message.decode(item)
        except celery_message.ForeignMessage:
            log.error("dropped what is no message of ours: %.80r", item)  # noqa: TRY400
            with self.conn_or_acquire() as client:
                client.lrem(TAKEN_KEY, 1, item)
            return
        self.item = item
        try:
            self.connection._deliver(message, QUEUE)  # noqa: SLF001  # as kombu does
        except (*LOST, ResponseError):
            raise
        except Exception as error:
            log.error("cannot read a message: %r in %.200r", error, item)  # noqa: TRY400
            self.note([item])
            properties = message["properties"]
            self.qos.reject(properties["delivery_tag"], requeue=not properties["delivery_info"]["redelivered"])

    def _queue_bind(self, *args: Any) -> None:
        try:
            super()._queue_bind(*args)
        except ResponseError as error:
            self.refused(error)
            time.sleep(REFUSED_PAUSE)  # Celery connects again at once
            raise

    def maybe_refresh_binding_expiry(self) -> None:
        """Keep the queue of remote control alive; a Redis that refuses would be worth a traceback a second."""
        with suppress(ResponseError):
            super().maybe_refresh_binding_expiry()

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        # After a lost connection, kombu and Celery still want to acknowledge on the old channel. Without an address
        # to connect to, an AttributeError would end the worker; a lost connection is logged.
        if self.connection is None or self.connection.client is None:
            raise ConnectionError("the connection to Redis was lost")
        params: dict[str, Any] = super()._connparams(asynchronous)
        return params


class Transport(kombu_redis.Transport):
    """kombu's Redis, with these channels."""

    Channel = Channel


class Connection(kombu_connection.Connection):
    """Looks for a Redis that is away every few seconds, and not all workers in step; Celery's pauses grow to 30 s."""

    def ensure_connection(self, *args: Any, **kwargs: Any) -> kombu_connection.Connection:
        """Return when connected."""
        step = random.uniform(0.3, 0.6)  # noqa: S311  # not cryptography
        pauses = {"interval_start": step, "interval_step": step, "interval_max": 8 * step}
        connected: kombu_connection.Connection = super().ensure_connection(*args, **(pauses | kwargs))
        return connected


class AMQP(celery.app.amqp.AMQP):  # type: ignore[misc]  # Celery has no types
    """How Celery connects."""

    Connection = Connection
