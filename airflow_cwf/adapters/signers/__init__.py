"""Where keys live. A signer signs digests and knows nothing of chains."""
