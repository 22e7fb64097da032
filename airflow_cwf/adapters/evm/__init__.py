"""The EVM family: JSON-RPC client, transaction codec, table of node texts."""
