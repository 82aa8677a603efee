"""What happens to a request before FastAPI reads it, one ASGI middleware a file.

What a route does with its own request belongs to `routes/`.
"""
