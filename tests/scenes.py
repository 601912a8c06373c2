"""A small project with a history, at the level of the API: what tests of faults and of requests begin with."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from rote.adapters.stores.folder import FolderStore
from rote.laws.store.rooted import PREFIXES, is_root
from rote.ports import ObjectStore, Silence
from rote.services.data.snapshots import Snapshots
from rote.services.store.founding import found
from rote.services.store.roots import Roots
from rote.testing.clock import START, StillClock
from rote.testing.faults import FaultyStore
from rote.wiring.parts import Wiring
from rote.wiring.project import Project
from rote.words.ids import digest
from rote.words.run import Host

PIPELINE = """\
stages:
  sort:
    cmd: mkdir -p sorted && cat data/*.txt | sort > sorted/all.txt
    deps: [data]
    outs: [sorted]
  train:
    cmd:
      - mkdir -p model && cksum < sorted/all.txt > model/weights
      - echo '{"accuracy":0.9}' > metrics.json
    deps: [sorted]
    outs: [model]
    metrics: [metrics.json]
models:
  digits:
    files: [model]
    gates: [accuracy >= 0.5]
"""

Wrap = Callable[[ObjectStore], ObjectStore]


class StillWiring(Wiring):
    """The parts of a project on a clock that stands still, on a machine that is the same everywhere.

    Every `seed` is another process: it has its own time, a minute after the one before, and its own chance.
    """

    def __init__(self, root: Path, seed: int, wrap: Wrap | None = None) -> None:
        super().__init__(str(root), store=None, progress=Silence(), cwd=str(root), wrap=wrap)
        self._seed = seed

    @property
    def clock(self) -> StillClock:
        if "still" not in self.__dict__:
            self.still = StillClock(START + 60 * self._seed, self._seed)
        return self.still

    @property
    def by(self) -> str:
        return "ada@mill"

    @property
    def host(self) -> Host:
        return Host(name="mill", system="Linux", machine="x86_64", cpus=2, python="3.11.0")


def opened(root: Path, seed: int, wrap: Wrap | None = None) -> Project:
    """The project there, as a new process would see it."""
    return Project(str(root), wiring=StillWiring(root, seed, wrap))


def founded(root: Path, pipeline: str = PIPELINE) -> Path:
    """A folder that is a project, with an empty store in `.rote/store`."""
    (root / ".rote").mkdir(parents=True)
    (root / "rote.yaml").write_text(pipeline)
    found(FolderStore(str(root / ".rote/store"), create=True), StillClock(seed=99))
    return root


def lay(folder: Path, files: dict[str, str | bytes]) -> None:
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)


def content(root: Path) -> dict[str, bytes]:
    """The working tree, without what is rote's own."""
    return {
        p.relative_to(root).as_posix(): p.read_bytes()
        for p in sorted(root.rglob("*"))
        if p.is_file() and ".rote" not in p.relative_to(root).parts
    }


def data(changed: bool = False) -> dict[str, str | bytes]:
    """Some small files, one that is cut into chunks."""
    files: dict[str, str | bytes] = {f"{n % 3}.{n}.txt": f"line {n}\n" * 20 for n in range(9)}
    files["sub/large.bin"] = b"".join(n.to_bytes(4, "little") for n in range(40_000))
    if changed:
        files |= {"0.0.txt": "another line\n", "new.txt": "a new line\n"}
    return files


class Scene:
    """A state of a project, and a command that is typed in it."""

    def __init__(self, root: Path, do: Callable[[Project, Path], Any]) -> None:
        self.root = root
        self.do = do

    def laid(self, at: Path) -> Path:
        """A copy to work in."""
        shutil.copytree(self.root, at)
        return at


def _add(project: Project, root: Path) -> Any:
    return [(a.path, a.ref.id, a.ref.files, a.ref.size) for a in project.add(str(root / "data"))]


def _run(project: Project, root: Path) -> Any:
    outcome = project.run()
    outs = {s.stage: {path: ref.id for path, ref in s.outs.items()} for s in outcome.stages}
    return outcome.ok, outcome.run.state, outs, outcome.run.metrics


def _release(project: Project, root: Path) -> Any:
    version = project.models.release("digits").version
    every = [v.version for v in project.models.versions("digits")]
    return version.version, version.snapshot.id, version.files, every


def _promote(project: Project, root: Path) -> Any:
    channel = project.models.promote("digits@1.0.1", "prod", why="better")
    return channel.version, channel.seq, [m.version for m in channel.history]


def _checkout(project: Project, root: Path) -> Any:
    return sorted(path for path, _ in project.checkout())


def _gc(project: Project, root: Path) -> Any:
    report = project.store.gc(delete=True, grace_hours=0)
    return report.done, report.stays.objects


def _delete(project: Project, root: Path) -> Any:
    """Let go of old data, of all runs but the last, and of a version that no alias names."""
    held = [version.version for version in project.models.versions("digits")]
    forget = ["digits@1.0.1"] if "1.0.1" in held else []
    report = project.store.gc(
        delete=True, grace_hours=0, keep_last=1, unpinned_data=True, forget_versions=forget
    )
    return report.done, [version.version for version in project.models.versions("digits")]


COMMANDS = {
    "add": _add,
    "add-again": _add,
    "run": _run,
    "release": _release,
    "promote": _promote,
    "checkout": _checkout,
    "gc": _gc,
    "delete": _delete,
}


def scenes(folder: Path) -> dict[str, Scene]:
    """Command -> a scene in which it has something to do; in each but the first much is committed already."""
    work = founded(folder / "work")
    found: dict[str, Scene] = {}

    def keep(name: str) -> None:
        shutil.copytree(work, folder / name)
        found[name] = Scene(folder / name, COMMANDS[name])

    lay(work / "kept", {"a": "kept", "b": "kept too"})
    lay(work / "data", data())
    opened(work, 0).add(str(work / "kept"))
    keep("add")
    opened(work, 1).add(str(work / "data"))
    assert opened(work, 2).run().ok
    opened(work, 3).models.release("digits")
    opened(work, 4).models.promote("digits@1.0.0", "prod")
    lay(work / "data", data(changed=True))
    keep("add-again")
    opened(work, 5).add(str(work / "data"))
    keep("run")
    assert opened(work, 6).run().ok
    keep("release")
    opened(work, 7).models.release("digits")
    keep("promote")
    shutil.rmtree(work / "data")
    (work / "kept/a").unlink()
    keep("checkout")
    lay(work / "data", data(changed=True))
    lay(work / "kept", {"a": "kept"})
    gone = opened(work, 8)
    with gone._w.transactions.begin() as write:
        write.put_pack(digest("1" * 64), b"a write that was given up")
    keep("gc")
    keep("delete")
    return found


def in_force(store: ObjectStore) -> dict[str, Any]:
    """Every root in force with its body and the bytes of all files that it keeps."""
    roots, snapshots = Roots(store), Snapshots(store)
    every: dict[str, Any] = {}
    for key in (key for prefix in PREFIXES for key in roots.list(prefix)):
        root = roots.envelope(key) if is_root(key) else None
        if root is None:
            continue
        files = {}
        for ref in root.needs:
            record = snapshots.record(ref)
            files[ref.id] = {
                e.path: b"".join(snapshots.read(record, e.path)) for e in snapshots.entries(record)
            }
        every[key] = (msgspec.to_builtins(root.body), files)
    return every


class Clean:
    """A command that nothing happened to: what it told, the working tree and the roots it left, and the requests it made."""

    def __init__(self, scene: Scene, folder: Path) -> None:
        root = self.root = scene.laid(folder)
        self.before = in_force(FolderStore(str(root / ".rote/store")))
        self.held = held(root)
        self.kinds: list[str] = []

        def noting(inner: ObjectStore) -> ObjectStore:
            return FaultyStore(inner, lambda n, kind, key: self.kinds.append(kind))

        self.told = scene.do(opened(root, 50, noting), root)
        self.after = in_force(FolderStore(str(root / ".rote/store")))
        self.content = content(root)
        self.held_then = held(root)


def held(root: Path) -> dict[str, dict[str, str]]:
    """Model -> alias -> version."""
    return {model.name: model.aliases for model in opened(root, 61).models.all()}


def whole(root: Path, clean: Clean) -> None:
    """The store is sound, and what was committed before is in force with all its files."""
    report = opened(root, 60).store.check(read_data=True)
    assert report.ok, report.damages
    now = in_force(FolderStore(str(root / ".rote/store")))
    for key, was in clean.before.items():
        if key in clean.after:
            assert now.get(key) == was, key
        else:  # what the command lets go is there whole, or not at all
            assert now.get(key) in (was, None), key
    assert held(root) in (clean.held, clean.held_then)


def play(folder: Path) -> dict[str, tuple[Scene, Clean]]:
    """Every scene, and what its command does when nothing happens to it."""
    return {name: (scene, Clean(scene, folder / f"{name}-clean")) for name, scene in scenes(folder).items()}
