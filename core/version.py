"""Version of the project; pyproject.toml has none, since the images do not contain it."""

VERSION = "0.1.0"
