"""The demo: real ratings, real processes, from the first day to a reload under load."""
