"""Local chains for demo, tests and benchmarks; nothing else uses them."""
