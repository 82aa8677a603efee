"""Pure: how good a model's lists are: metrics, holdouts, the users that are judged."""
