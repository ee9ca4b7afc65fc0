"""Results in Redis.

For each model a sorted set: the score is the due time in epoch seconds (with milliseconds), the member a compact JSON
array. The pair (model, due time) identifies a result. For its latest result alone, a string of compact JSON holds the
confusion matrix and the version of the label row.
"""
