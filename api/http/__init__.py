"""The HTTP server below Flask: waitress, with limits on slow and greedy clients."""
