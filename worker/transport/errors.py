"""Errors of connections to Redis."""

from redis.exceptions import ConnectionError, TimeoutError  # noqa: A004  # redis-py calls them so

CONNECTION_ERRORS = (ConnectionError, TimeoutError, OSError)  # kombu counts KeyError among them, too
