"""Pure: is what runs still good? Prequential tests, live answers, stale days."""
