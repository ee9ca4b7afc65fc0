"""Celery application of the scheduler, for beat; messages are published without it (scheduler.queue)."""

from celery import Celery

# Imported before beat handles signals: its handler accesses the scheduler, and with a partly imported one an early
# SIGTERM would end in a traceback.
import scheduler.beat  # noqa: F401
from scheduler.settings import settings

app = Celery("scheduler", broker=settings().redis_url)
