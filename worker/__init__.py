"""The workers: calculate a model's accuracy from its newest row."""
