"""Modules shared by the processes; they import none of them."""
