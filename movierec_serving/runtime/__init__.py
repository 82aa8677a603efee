"""All that knows LitServe's and uvicorn's inside: the server, its workers, processes, connections.

No route and no model is made here. What is used of the libraries' inside is named by
`tests/serving/test_against_litserve.py`, which fails first when they change.
"""
