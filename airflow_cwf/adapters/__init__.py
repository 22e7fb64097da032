"""Outside things, one folder each. Only the wiring imports them."""
