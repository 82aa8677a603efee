"""A game day: a running platform is broken in ten ways, and mended by nothing but the runbook."""
