"""The scheduler process: python -m scheduler.

Celery's beat without its command line, which takes 10 MiB and a third of a second and is not needed.
celery -A scheduler.app beat --scheduler scheduler.beat:DatabaseScheduler does the same.
"""

from scheduler.app import app

if __name__ == "__main__":
    app.Beat(scheduler="scheduler.beat:DatabaseScheduler", loglevel="INFO", quiet=True).run()
