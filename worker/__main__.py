"""The workers' process: python -m worker, with the options of celery worker."""

import os
import sys

# SIGTERM then gives a batch a moment and hands it back to the queue, instead of waiting for its end.
# Celery reads the variable when it is imported.
os.environ.setdefault("REMAP_SIGTERM", "SIGQUIT")

from worker.app import app  # see above

if __name__ == "__main__":
    # The workers need nothing of each other, and begin a second earlier without asking.
    app.worker_main(["--quiet", "worker", "--without-mingle", "--without-gossip", "--loglevel", "INFO", *sys.argv[1:]])
