"""Checks and assets that watch data and models. No decision about production."""
