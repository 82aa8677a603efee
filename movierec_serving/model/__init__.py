"""What this process serves: the committed version, opened, reloaded, and what is blocked."""
