"""Pages of a list: the size of a page, and the Link to the next one."""

from typing import Annotated

from flask import Response
from pydantic import Field

from api.contract import fields

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000

Limit = Annotated[
    int,
    fields.integer_up_to(MAX_LIMIT),
    Field(description="Maximum number of items on a page.", examples=[DEFAULT_LIMIT]),
    fields.default(DEFAULT_LIMIT),
]
LINK_HEADER = {"Link": 'The address of the next page, rel="next"; none on the last one.'}


def set_next_link(response: Response, url: str) -> None:
    """Add the Link header with the address of the next page."""
    response.headers["Link"] = f'<{url}>; rel="next"'
