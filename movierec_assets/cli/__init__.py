"""What each subcommand of `movierec` does."""
