"""The adapters: each knows one vendor or the system, and never a sibling."""
