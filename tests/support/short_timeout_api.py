"""API with a short client timeout: python -m tests.support.short_timeout_api."""

import api.http.connection
from api.main import main

CLIENT_TIMEOUT = 1.5  # seconds

if __name__ == "__main__":
    api.http.connection.CLIENT_TIMEOUT = CLIENT_TIMEOUT  # type: ignore[attr-defined]  # it imports it from limits
    main()
