"""Files: the landing zone, archived chunks, bundles by identity."""
