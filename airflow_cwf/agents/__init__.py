"""Decisions: what should happen. Agents see ports, and never sign."""
