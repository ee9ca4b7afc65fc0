"""API with a short client timeout: python -m tests.support.short_timeout_api."""

from api.http.limits import Limits
from api.main import main

LIMITS = Limits(client_timeout=1.5)

if __name__ == "__main__":
    main(LIMITS)
