"""The services: they speak to ports and to each other, never to an adapter."""
