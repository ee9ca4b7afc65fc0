"""Real launchers, each with its own data folder and port."""

import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.launcher import Launcher


@pytest.fixture
def data_dir() -> Iterator[Path]:
    with _temporary_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def stack() -> Iterator[Launcher]:
    """A ready stack that all tests of a module share."""
    with _temporary_folder() as folder, Launcher.start(folder) as launcher:
        launcher.wait_until_ready()
        yield launcher
        # Twice, as an impatient user does.
        assert launcher.stop(signal.SIGINT, signal.SIGINT) == 0, launcher.output


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    # Not tmp_path, which other accounts cannot access: as root, PostgreSQL runs as another account.
    with tempfile.TemporaryDirectory(prefix="cyclic-metrics-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)
