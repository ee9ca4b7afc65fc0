"""The scheduler: sends the models that are due to the workers."""
