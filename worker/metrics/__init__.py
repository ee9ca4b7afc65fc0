"""Computation of metrics: the only package that imports numpy and scikit-learn."""
