"""Redis transport for kombu that loses no message."""

from worker.transport.channel import AMQP, Transport

__all__ = ["AMQP", "Transport"]
