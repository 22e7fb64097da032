"""What a run leaves behind for a stranger to check: bytes, trees, rows, records."""
