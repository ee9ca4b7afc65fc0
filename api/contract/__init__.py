"""The contract of an endpoint, declared beside its view."""
