"""A logger that loads Python's `logging` with its first line: who notes nothing does not pay for it."""

from __future__ import annotations


class Logger:
    """The logger of one module, `name`, of the standard library's `logging`, without its start-up."""

    def __init__(self, name: str) -> None:
        self._name = name

    def debug(self, text: str, *values: object) -> None:
        """For whoever looks into a defect; `values` fill the text's `%s`."""
        import logging  # what this class is for

        logging.getLogger(self._name).debug(text, *values)

    def warning(self, text: str, *values: object) -> None:
        """For whoever runs the program: without a handler it goes to standard error."""
        import logging  # what this class is for

        logging.getLogger(self._name).warning(text, *values)
