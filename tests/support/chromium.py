"""The installed Chromium."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

EXECUTABLES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Without requests to its vendor. As root, as in containers, it starts without its sandbox only.
ARGUMENTS = ["--disable-background-networking", "--disable-component-update", "--disable-gpu", "--no-first-run"]


def find_executable() -> str | None:
    return next(filter(None, map(shutil.which, EXECUTABLES)), None)


@contextmanager
def running_browser() -> Iterator[Browser]:
    arguments = [*ARGUMENTS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_executable(), args=arguments)
        yield browser
        browser.close()
