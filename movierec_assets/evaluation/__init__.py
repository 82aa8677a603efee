"""Pure: how good a model is, and whether it may be promoted."""
