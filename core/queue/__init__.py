"""The queue: messages of the scheduler for the workers."""
