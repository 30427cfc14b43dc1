"""The demo: semantic search over Python's own standard library."""
