"""The Celery application of the scheduler.

celery -A scheduler.app beat --scheduler scheduler.beat:DatabaseScheduler
"""

from celery import Celery

from scheduler.settings import Settings
from worker import messages
from worker.settings import read

settings = read(Settings.from_env)

app = Celery("scheduler", broker=settings.redis_url)
app.conf.update(
    broker_transport_options={
        "socket_connect_timeout": messages.CONNECT_TIMEOUT,
        "socket_timeout": messages.CONNECT_TIMEOUT,  # it only sends, and never waits for a message
        "socket_keepalive": True,
    },
    task_default_queue=messages.QUEUE,
    task_ignore_result=True,
)
