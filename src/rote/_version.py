"""The version of rote, alone in a file so that `rote --version` reads nothing else."""

__version__ = "0.1.0"
