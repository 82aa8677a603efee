"""All that knows LitServe's inside: the server, its workers and processes. No route, no model."""
