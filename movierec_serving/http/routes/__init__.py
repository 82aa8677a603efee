"""The routes, one file for each noun or kind of caller.

A route reads its options, asks the model and replies. What a list of movies holds is
`recommender.py`'s, what applies to every request is `middleware/`'s.
"""
