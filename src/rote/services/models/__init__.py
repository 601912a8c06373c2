"""Models: versions, aliases and channels, and their files brought to where they are used."""
