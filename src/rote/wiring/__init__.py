"""The wiring: builds services and adapters from settings, and gives them to people as a project."""
