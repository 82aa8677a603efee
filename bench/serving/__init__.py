"""Measurements of the endpoint against others, and of reloads."""
