"""Pages in a browser."""

import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress

from playwright.sync_api import Locator, Page

OpenPage = Callable[..., Page]  # of the fixture open_page

UPDATE_TIMEOUT = 2000  # milliseconds within which an open page shows a change by itself


def row(page: Page, model_id: str) -> Locator:
    """Return the row of a model on the overview."""
    return page.locator(f"#model-{model_id}")


def refresh_page_cache(url: str) -> None:
    """Have the server render a page: the cached one may show the schedules of the test before."""
    request = urllib.request.Request(url, headers={"Accept": "text/html", "Cache-Control": "no-cache"})
    with suppress(urllib.error.HTTPError):
        urllib.request.urlopen(request, timeout=10).close()
