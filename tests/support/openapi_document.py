"""The OpenAPI document of an application without backends."""

from api.main import create_app
from api.openapi.document import document
from api.settings import Settings

APP = create_app(Settings.from_env({"DATABASE_URL": "postgresql://unused", "REDIS_URL": "redis://unused"}))
DOCUMENT = document(APP)
