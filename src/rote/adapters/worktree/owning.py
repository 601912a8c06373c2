"""Files that share their content with others (links into a cache) made files of their own."""

from __future__ import annotations

import os
import stat

from rote.adapters.worktree.places import trouble


def own(full: str) -> None:
    """Replace each link and each file with other names at or below a path by a copy that may be written. Nothing there
    is no error. Raises StoreFull, RoteError."""
    import shutil  # brings every archive format with it; few stages go on from an out

    try:
        if os.path.islink(full) and os.path.isdir(full):
            target = os.path.realpath(full)
            aside = f"{full}.rote-own"
            shutil.copytree(target, aside)
            os.unlink(full)
            os.rename(aside, full)
        if os.path.isdir(full):
            for folder, _, names in os.walk(full):
                for name in names:
                    _own_file(os.path.join(folder, name))
        elif os.path.lexists(full):
            _own_file(full)
    except OSError as e:
        raise trouble(e, full) from e


def _own_file(full: str) -> None:
    import shutil  # as above

    status = os.lstat(full)
    if stat.S_ISLNK(status.st_mode) or (stat.S_ISREG(status.st_mode) and status.st_nlink > 1):
        aside = f"{full}.rote-own"
        shutil.copyfile(full, aside)
        mode = os.stat(full).st_mode & 0o777
        os.chmod(aside, mode | stat.S_IWUSR)
        os.replace(aside, full)
    elif stat.S_ISREG(status.st_mode) and not status.st_mode & stat.S_IWUSR:
        os.chmod(full, status.st_mode & 0o777 | stat.S_IWUSR)
