"""The command `rote`: arguments in, exit code out."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line. Returns the exit code: 0, 1 (failed), 2 (wrong usage), 130 (stopped by the user)."""
    if sys.argv[1:] == ["--version"]:
        # The question that scripts ask most is answered before anything is imported.
        from rote._version import __version__

        sys.stdout.write(f"rote {__version__}\n")
        return 0
    # Short commands make many objects and free few: without collector passes a walk over a large tree takes half
    # the time, and reference counting frees all that matters.
    import gc

    gc.disable()
    # click and the commands are loaded only when they are needed.
    from rote.cli import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
