"""Where ratings come from: each source brings its files into the landing zone."""
