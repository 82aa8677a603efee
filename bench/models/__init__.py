"""Measurements of models: learning, the gate."""
