"""MovieLens in each format it is published in, and where a copy of it is found."""
