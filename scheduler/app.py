"""The Celery application of the scheduler, for beat: what is sent goes past it (scheduler.queue)."""

from celery import Celery

# Here, so that it is there before beat handles signals: its handler asks for the scheduler, and a half
# imported one would make an early SIGTERM end in a traceback.
import scheduler.beat  # noqa: F401
from scheduler.settings import settings

app = Celery("scheduler", broker=settings().redis_url)
