"""Laws of the store: what may be believed, kept and let go, and what it costs."""
