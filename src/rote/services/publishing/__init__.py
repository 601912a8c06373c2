"""Versions, or any files, to the places where others get them."""
