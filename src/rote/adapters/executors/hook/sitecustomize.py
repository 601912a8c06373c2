"""Runs at the start of every Python process of a stage: notes which files of the project it reads.

rote puts this folder at the front of `PYTHONPATH` when it starts a stage, and Python imports the first
`sitecustomize` it finds. Nothing happens unless `ROTE_TRACE` names a folder for the notes. The user's own
sitecustomize, if there is one, is run as if this one were not there, and this folder leaves the import path. Nothing in
here may break a stage or write to its output: what goes wrong is a note, and rote tells it. Imports nothing that Python
has not loaded already.

Notes are lines, `KIND NUMBERS PATH`, in a file of their own for each process: `R` read (mtime, ctime, inode, size of
the file at that moment), `N` opened for reading but not there, `W` opened for writing, `L` a folder listed, `I` a
module sought in the folders that follow, `O` code of another working tree read, `E` an error. See
rote.laws.pipeline.sightings.

In a working tree that rote laid out beside the user's, `ROTE_TRACE_INSTEAD` says which folders stand for which: what
was installed from the one (`pip install --editable`) is imported from the other.
"""

from __future__ import annotations

import os
import sys

_SEP = "\x1f"
_AT_ONCE = 64
"""So many notes of a process are written at once; after that, other notes than of code wait for company."""
_HELD = 128
"""So many notes wait at most."""
_MOST = 200_000
"""So many names are remembered, not to be noted twice; beyond that they are."""
_OURS = (".rote", ".git")


class _Notes:
    """The notes of this process."""

    def __init__(self, folder: str, roots: list[str], skip: list[str], apart: str) -> None:
        self.folder = folder
        self.apart = apart + os.sep if apart else ""
        self.out = tuple(apart + os.sep + own + os.sep for own in (*_OURS, ".dvc")) if apart else ()
        self.out += tuple(prefix + os.sep for prefix in {sys.prefix, sys.base_prefix})
        self.roots = tuple(root + os.sep for root in roots)
        inside = {prefix for prefix in (sys.prefix, sys.base_prefix) if prefix.startswith(self.roots)}
        never = [*(root + os.sep + own for root in roots for own in _OURS), *inside, *skip]
        self.never = tuple(path + os.sep for path in never)
        self.exactly = frozenset(never)
        self.seen: set[object] = set()
        self.sought: set[str] = set()
        self.folders: dict[str, str] = {}
        self.held: list[str] = []
        self.count = 0
        self.busy = False
        self.file = ""
        self.fresh()

    def fresh(self) -> None:
        """A new process begins (also after fork): it has a file of its own."""
        self.file = os.path.join(self.folder, f"{os.getpid()}-{os.urandom(4).hex()}")
        self.held = []
        self.busy = False

    def hook(self, event: str, args: tuple[object, ...]) -> None:
        """Called by Python for every audit event; returns at once for those that do not matter."""
        handle = _HANDLERS.get(event)
        if handle is None or self.busy:
            return
        self.busy = True
        try:
            handle(self, args)
        except Exception as e:  # noqa: BLE001  # noted, and told by rote; a stage must not fail because of it
            self.trouble(e)
        finally:
            self.busy = False

    def inside(self, path: str) -> str | None:
        """The absolute path if it is one of the project's that matters."""
        if not path.startswith("/") and os.sep == "/":
            path = os.getcwd() + "/" + path
        if "/." in path or "//" in path:
            path = os.path.normpath(path)
        if not path.startswith(self.roots) or path.startswith(self.never) or path in self.exactly:
            return None
        if "/site-packages/" in path or "/dist-packages/" in path:
            return None
        return path

    def note(self, kind: str, numbers: tuple[int, ...], path: str, at_once: bool) -> None:
        """Write a line, or hold it back for a moment."""
        self.held.append(" ".join((kind, ",".join(map(str, numbers)), path.replace("\n", "\x1e"))))
        self.count += kind != "I"
        if at_once or (kind != "I" and self.count <= _AT_ONCE) or len(self.held) >= _HELD:
            self.write()

    def write(self) -> None:
        """Append what is held to the file. It is opened each time: a stage may close what it has not opened."""
        if not self.held:
            return
        lines, self.held = self.held, []
        data = ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape")
        for _ in range(2):
            try:
                descriptor = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
            except FileNotFoundError:
                os.makedirs(self.folder, exist_ok=True)
                continue
            try:
                os.write(descriptor, data)
            finally:
                os.close(descriptor)
            return

    def trouble(self, error: Exception) -> None:
        """Something in here went wrong: rote will say so."""
        key = repr(error)
        if key in self.seen:
            return
        self.know(key)
        try:
            self.note("E", (), f"{type(error).__name__}: {error}", True)
        except Exception as e:  # noqa: BLE001  # as above
            self.know(repr(e))  # the disk is full, or the folder is gone: nothing can be told

    def know(self, key: object) -> None:
        """Remember that this was noted."""
        if len(self.seen) < _MOST:
            self.seen.add(key)

    # ---- events ------------------------------------------------------------------------------------------------

    def opened(self, args: tuple[object, ...]) -> None:
        path, mode, flags = args[0], args[1], args[2]
        if (
            type(path) is str
            and path.startswith("/")
            and not path.startswith(self.roots)
            and "/.." not in path
        ):
            if self.apart and path.startswith(self.apart):
                self.strayed(path)
            return  # most of all files, and the reason why this line comes first
        key = (path, mode, flags)
        if key in self.seen:
            return
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        if not isinstance(path, str):
            return  # a descriptor, whose file was opened before
        full = self.inside(path)
        if path.startswith("/"):
            self.know(key)
        if full is None:
            return
        numbers = flags if isinstance(flags, int) else 0
        writes = numbers & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        if isinstance(mode, str):
            reads = "r" in mode or "+" in mode
            writes = writes or any(letter in mode for letter in "wax+")
        else:
            reads = numbers & os.O_ACCMODE != os.O_WRONLY and not numbers & os.O_TRUNC
        if reads and not (isinstance(mode, str) and ("w" in mode or "x" in mode)):
            self.read(full)
        if writes:
            self.wrote(full)

    def read(self, full: str) -> None:
        folder, _, name = full.rpartition("/")
        if folder.endswith("/__pycache__"):
            full, compiled = folder[: -len("__pycache__")] + name.partition(".")[0] + ".py", full
            _discard_stale(compiled, full)
        if ("R", full) in self.seen:
            return
        try:
            st = os.stat(full)
        except OSError:
            self.once("N", full)
            return
        if st.st_mode & 0o170000 != 0o100000:
            return  # a folder or a device
        self.know(("R", full))
        code = full.endswith(_CODE)
        self.note("R", (st.st_mtime_ns, st.st_ctime_ns, st.st_ino, st.st_size), full, code)

    def strayed(self, full: str) -> None:
        """Note code of the user's working tree, in a stage that runs in another."""
        folder, _, name = full.rpartition("/")
        if folder.endswith("/__pycache__"):
            full = folder[: -len("__pycache__")] + name.partition(".")[0] + ".py"
        if full.endswith(_CODE) and not full.startswith(self.out) and "/site-packages/" not in full:
            self.once("O", full, True)

    def once(self, kind: str, full: str, at_once: bool = False) -> None:
        if (kind, full) not in self.seen:
            self.know((kind, full))
            self.note(kind, (), full, at_once)

    def wrote(self, full: str) -> None:
        self.once("W", full)

    def renamed(self, args: tuple[object, ...]) -> None:
        path = os.fsdecode(args[1]) if isinstance(args[1], str | bytes | os.PathLike) else ""
        full = self.inside(path)
        if full is not None:
            self.wrote(full)

    def listed(self, args: tuple[object, ...]) -> None:
        path = "." if args[0] is None or not args else args[0]
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        if not isinstance(path, str) or _machinery():
            return
        full = os.path.join(os.getcwd(), path)
        full = os.path.normpath(full)
        if full + "/" in self.roots:
            self.once("L", full)
            return
        inside = self.inside(full)
        if inside is not None:
            self.once("L", inside)

    def imported(self, args: tuple[object, ...]) -> None:
        name, file = args[0], args[1]
        if isinstance(file, str):
            full = self.inside(file)  # an extension module, which is not opened by Python
            if full is not None:
                self.read(full)
            elif self.apart and file.startswith(self.apart) and not file.startswith(self.roots):
                self.strayed(file)
            return
        if not isinstance(name, str) or name in self.sought:
            return
        if len(self.sought) < _MOST:
            self.sought.add(name)
        if name in sys.builtin_module_names:
            return
        package, _, last = name.rpartition(".")
        where: object = args[2]
        if package:
            where = getattr(sys.modules.get(package), "__path__", ())
        if not isinstance(where, list | tuple):
            where = list(where) if hasattr(where, "__iter__") else []  # a namespace package's path
        folders = [full for each in where if isinstance(each, str) and (full := self.folder_of(each))]
        if folders:
            self.note("I", (), _SEP.join([last, *folders]), False)

    def folder_of(self, entry: str) -> str:
        """An entry of an import path as an absolute path, if it is a folder of the project that matters."""
        known = self.folders.get(entry)
        if known is None:
            full = os.path.normpath(os.path.join(os.getcwd(), entry))
            known = full if full + "/" in self.roots or self.inside(full) is not None else ""
            if entry.startswith("/"):  # what another means changes with the current folder
                self.folders[entry] = known
        return known

    def started(self, args: tuple[object, ...]) -> None:
        program, words = args[0], args[1]
        for word in [program, *(words if isinstance(words, list | tuple) else ())]:
            text = os.fsdecode(word) if isinstance(word, bytes) else word
            if isinstance(text, str) and ("/" in text or text.endswith(_SCRIPTS)):
                full = self.inside(text)
                if full is not None and (word is program or full.endswith(_SCRIPTS)) and os.path.isfile(full):
                    self.read(full)
        self.write()

    def loaded(self, args: tuple[object, ...]) -> None:
        path = args[0]
        if isinstance(path, str) and "/" in path:
            full = self.inside(path)
            if full is not None:
                self.read(full)


def _discard_stale(compiled: str, source: str) -> None:
    """Delete a compiled module that is not newer than its source, so that Python compiles it again.

    Python compares the source's mtime in whole seconds, and its size: an edit within the second that keeps the size is
    lost on it, and the stage would run with code that is no longer there.
    """
    try:
        if os.stat(source).st_ctime_ns >= os.stat(compiled).st_mtime_ns:
            os.unlink(compiled)
    except OSError:
        return  # one of both is not there, or may not be deleted


def _machinery() -> bool:
    """Whether Python's own search for modules is what lists the folder."""
    frame = sys._getframe(3)
    return frame.f_code.co_filename.startswith("<frozen importlib")


_CODE = (".py", ".so", ".pyd", ".dylib")
_SCRIPTS = (".sh", ".bash", ".pl", ".rb", ".r", ".R", ".jl", ".js", ".awk", ".sed")
_HANDLERS = {
    "open": _Notes.opened,
    "import": _Notes.imported,
    "os.listdir": _Notes.listed,
    "os.scandir": _Notes.listed,
    "os.rename": _Notes.renamed,
    "os.link": _Notes.renamed,
    "os.symlink": _Notes.renamed,
    "subprocess.Popen": _Notes.started,
    "os.posix_spawn": _Notes.started,
    "os.exec": _Notes.started,
    "ctypes.dlopen": _Notes.loaded,
    "sqlite3.connect": _Notes.loaded,
}


def _begin() -> None:
    """Start to take notes, if rote asks for it."""
    folder = os.environ.get("ROTE_TRACE")
    if not folder or not hasattr(sys, "addaudithook"):
        return
    roots = os.environ.get("ROTE_TRACE_ROOTS", "").split(_SEP)
    skip = [path for path in os.environ.get("ROTE_TRACE_SKIP", "").split(_SEP) if path]
    notes = _Notes(folder, roots, skip, os.environ.get("ROTE_TRACE_APART", ""))
    notes.note("P", (os.getpid(),), sys.executable or "", True)
    sys.addaudithook(notes.hook)
    import atexit  # built into Python: costs nothing

    atexit.register(notes.write)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=notes.write, after_in_child=notes.fresh)


def _stand_in() -> None:
    """Take the folders on the import path, and those that setuptools' finders know, from the tree that stands for the
    one they lie in."""
    said = os.environ.get("ROTE_TRACE_INSTEAD", "").split(_SEP)
    pairs = [(said[at], said[at + 1]) for at in range(0, len(said) - 1, 2)]
    if not pairs:
        return
    kept = tuple(prefix + os.sep for prefix in (sys.prefix, sys.base_prefix))

    def moved(path: object) -> object:
        if not isinstance(path, str):
            return path
        for old, new in pairs:
            stays = path.startswith((old + "/.rote/", *kept)) or "/site-packages" in path
            if not stays and (path == old or path.startswith(old + os.sep)):
                path = new + path[len(old) :]
        return path

    sys.path[:] = [str(moved(each)) for each in sys.path]
    for name, module in list(sys.modules.items()):
        for table in ("MAPPING", "NAMESPACES") if name.startswith("__editable__") else ():
            known = getattr(module, table, None)
            if isinstance(known, dict):
                for key, value in list(known.items()):
                    known[key] = [moved(each) for each in value] if isinstance(value, list) else moved(value)


def _go_on() -> None:
    """Take this folder off the import path, and run the sitecustomize that would have been found without it."""
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [each for each in sys.path if each != here]
    ours = sys.modules.pop("sitecustomize", None)
    try:
        import sitecustomize  # type: ignore[import-not-found]  # noqa: F401  # the user's or the distribution's
    except ImportError as e:
        if e.name != "sitecustomize":
            raise
    if ours is not None:
        sys.modules.setdefault("sitecustomize", ours)


if __name__ == "sitecustomize":
    try:
        _stand_in()
        _begin()
    except Exception as e:  # noqa: BLE001  # as above
        del e  # a stage runs without being watched rather than not at all; rote sees that no notes came
    _go_on()
