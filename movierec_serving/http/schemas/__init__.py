"""What requests may ask and answers hold, as OpenAPI shows it."""
