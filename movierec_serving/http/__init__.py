"""How the endpoint talks: requests, answers, routes. Nothing here knows LitServe."""
