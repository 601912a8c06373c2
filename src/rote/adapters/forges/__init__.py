"""Forges: releases at GitHub and at GitLab, as places where versions are published (ports: `rote.ports.hosting`)."""
