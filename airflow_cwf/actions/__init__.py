"""Verbs: each module orders the steps of one use case over the ports of the core."""
