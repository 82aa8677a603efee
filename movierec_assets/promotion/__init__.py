"""Pure: how a challenger compares, what the gate says, which version is production and why."""
