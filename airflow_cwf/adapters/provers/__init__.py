"""Programs that make proofs."""
