"""How the endpoint talks: requests, replies, routes and middleware.

Nothing here knows LitServe or a process: what is asked of a worker is wired in `runtime/`.
"""
