"""The notes that processes of a stage take of what they read -> what the stage was seen to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set

import msgspec

from rote.words.pipeline import Pipeline, Stage

SEPARATOR = "\x1f"
"""Between several paths in one line or variable."""
_LINE_FEED = "\x1e"


class Seen(msgspec.Struct):
    """What was seen of one stage. Paths are relative to the project's root, with `/`.

    `reads` has the stat (mtime_ns, ctime_ns, inode, size) of a file when it was read first; None where that is not
    known.
    """

    reads: dict[str, tuple[int, ...] | None] = {}
    missing: set[str] = set()
    wrote: set[str] = set()
    listed: set[str] = set()
    sought: dict[str, set[str]] = {}
    strayed: set[str] = set()
    """Code of another working tree, by absolute path."""
    python: bool = False
    troubles: list[str] = []


def relative(path: str, roots: Iterable[str]) -> str | None:
    """An absolute path relative to the first root it lies in (`.` for the root itself), or None."""
    for root in roots:
        if path == root:
            return "."
        if path.startswith(root.rstrip("/") + "/"):
            return path[len(root.rstrip("/")) + 1 :]
    return None


def take(seen: Seen, notes: bytes, roots: Iterable[str]) -> None:
    """Add the notes of one process. A line that was cut off by a kill is left out."""
    tops = tuple(roots)
    for line in notes.decode("utf-8", "surrogateescape").split("\n")[:-1]:
        kind, _, rest = line.partition(" ")
        numbers, _, text = rest.partition(" ")
        text = text.replace(_LINE_FEED, "\n")
        if kind == "P":
            seen.python = True
        elif kind == "E":
            seen.troubles.append(text)
        elif kind == "O":
            seen.strayed.add(text)
        elif kind == "I":
            name, *folders = text.split(SEPARATOR)
            for folder in folders:
                if (inside := _inside(seen, folder, tops)) is not None:
                    seen.sought.setdefault(inside, set()).add(name)
        elif (path := _inside(seen, text, tops)) is not None:
            _note(seen, kind, numbers, path)


def _inside(seen: Seen, path: str, roots: tuple[str, ...]) -> str | None:
    try:
        path.encode()
    except UnicodeEncodeError:
        seen.troubles.append(
            f"a file's name is not UTF-8: {path.encode('utf-8', 'backslashreplace').decode()}"
        )
        return None
    return relative(path, roots)


def _note(seen: Seen, kind: str, numbers: str, path: str) -> None:
    if kind == "R":
        try:
            stat = tuple(int(number) for number in numbers.split(",")) if numbers else None
        except ValueError:
            stat = None
        seen.reads.setdefault(path, stat)
    elif kind == "N":
        seen.missing.add(path)
    elif kind == "W":
        seen.wrote.add(path)
    elif kind == "L":
        seen.listed.add(path)


_SOURCE = (
    ".py", ".pyw", ".pyi", ".pyx", ".pxd", ".so", ".pyd", ".dll", ".dylib", ".c", ".h", ".cc", ".cpp", ".cxx", ".hpp",
    ".cu", ".cuh", ".rs", ".go", ".f", ".f90", ".java", ".scala", ".kt", ".sh", ".bash", ".r", ".jl", ".js", ".ts",
    ".pl", ".rb", ".lua", ".sql", ".awk", ".sed", ".ipynb", ".m", ".mk", ".cmake", ".j2", ".jinja",
)  # fmt: skip
_PROJECT = frozenset([
    "pyproject.toml", "setup.cfg", "setup.py", "tox.ini", "pytest.ini", "makefile", "cmakelists.txt", ".env",
    ".python-version", "pyvenv.cfg", "requirements.txt", "rote.yaml", "rote.local.yaml", ".gitignore",
])  # fmt: skip


def is_source(path: str) -> bool:
    """Whether the file is code, or says how code is used, and not data."""
    name = path.rpartition("/")[2].lower()
    return name.endswith(_SOURCE) or name in _PROJECT or ".egg-info/" in path or ".dist-info/" in path


def declared(stage: Stage) -> tuple[str, ...]:
    """What the stage names, and so is no finding: its deps, params files, lock files, outs and checkpoints."""
    paths = [*stage.deps, *(p.file for p in stage.params), *stage.locks, *(out.path for out in stage.outs)]
    if stage.checkpoints:
        paths.append(stage.checkpoints.path)
    return tuple(dict.fromkeys(paths))


def within(path: str, places: Iterable[str]) -> str | None:
    """The first of these paths that is `path` or holds it."""
    return next((p for p in places if path == p or path.startswith(p + "/")), None)


def undeclared(
    paths: Iterable[str], stage: Stage, pipeline: Pipeline, is_data: Callable[[str], bool]
) -> list[str]:
    """Those of the found files that are data: an out of another stage, what a pointer pins (`is_data`), or what does
    not look like code."""
    outs = {out.path for other in pipeline.stages.values() if other.name != stage.name for out in other.outs}
    return sorted(p for p in paths if not is_source(p) or within(p, outs) or is_data(p))


def short(paths: Iterable[str], most: int = 5) -> str:
    """Some paths in a line."""
    every = list(paths)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more


def unchanged(stat: tuple[int, ...] | None, now: Mapping[str, tuple[int, ...]], path: str) -> bool:
    """Whether the file is what it was when it was read."""
    return stat is None or now.get(path) == stat


def left_out(path: str, names: Set[str]) -> list[str]:
    """Names in the folder `path` of the files in `names` that lie directly in it."""
    prefix = "" if path == "." else path + "/"
    return sorted({name[len(prefix) :].partition("/")[0] for name in names if name.startswith(prefix)})
