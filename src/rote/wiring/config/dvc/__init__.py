"""DVC's own files in a project: which there are, and what they say. Formats only; nothing of DVC is called."""
