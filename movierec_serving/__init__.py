"""The endpoint: it answers over HTTP from published bundles, with NumPy alone."""
