"""Where payments files come from."""
