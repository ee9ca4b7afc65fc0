"""The Celery application of the scheduler.

celery -A scheduler.app beat --scheduler scheduler.beat:DatabaseScheduler
"""

from celery import Celery

# Here, so that it is there before beat handles signals: its handler asks for the scheduler, and a half
# imported one would make an early SIGTERM end in a traceback.
import scheduler.beat  # noqa: F401
from scheduler.settings import settings
from worker import messages

app = Celery("scheduler", broker=settings().redis_url)
app.conf.update(
    broker_transport_options={
        "socket_connect_timeout": messages.PATIENCE,
        "socket_timeout": messages.PATIENCE,
        "socket_keepalive": True,
    },
    broker_use_ssl=messages.broker_tls(settings().redis_url),
    task_default_queue=messages.QUEUE,
    task_ignore_result=True,
)
