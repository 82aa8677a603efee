"""Ratings as values: the formats they arrive in, the schema they must meet. Pure: values in, values
out.
"""
