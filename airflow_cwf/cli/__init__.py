"""The command `cwf`."""
