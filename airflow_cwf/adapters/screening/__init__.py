"""Where sanctions lists come from."""
