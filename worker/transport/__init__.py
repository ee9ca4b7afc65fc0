"""Redis transport for kombu that loses no message.

kombu pops a message (BRPOP) and records it as unacknowledged in a second step, by the clock of its own host. A message
is lost if the worker or its connection ends between the two, and a clock that is off makes batches return at once, or
hours later. Here a message is moved (BLMOVE) to a list of taken messages. From there it is recorded and removed in one
step, by the clock of Redis; any worker records what another one left in the list.
"""

from worker.transport.connection import AMQP, Transport

__all__ = ["AMQP", "Transport"]
