"""Pure: better parameters, searched for on the past alone."""
