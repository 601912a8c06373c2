"""Adapters of the port in rote.ports.hosting: where versions are published. Forges have a room of their own."""
