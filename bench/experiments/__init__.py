"""Experiments on simulated people: how often they are wrong, and how often they find an effect."""
