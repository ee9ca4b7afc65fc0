"""Endpoints for results."""
