"""The scheduler's process: python -m scheduler.

Celery's beat without its command line, which takes 10 MiB and a third of a second for what nobody asks of it here.
celery -A scheduler.app beat --scheduler scheduler.beat:DatabaseScheduler does the same.
"""

from scheduler.app import app

if __name__ == "__main__":
    app.Beat(scheduler="scheduler.beat:DatabaseScheduler", loglevel="INFO", quiet=True).run()
