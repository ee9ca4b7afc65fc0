"""Middleware around every view: access control, request log."""
