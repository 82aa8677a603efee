"""What keeps a home whole over years: what it lost, what it may let go of, what it must forget.

These modules work over all stores of a home at once, so they are given a `Platform`. They know the
adapters and the pure rooms, and nothing of Dagster; what needs a run is the command's to launch.
"""
