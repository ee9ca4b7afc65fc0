"""Types of metrics: pure, without numpy and scikit-learn."""
