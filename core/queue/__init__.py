"""The queue: messages from the scheduler to the workers."""
