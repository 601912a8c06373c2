"""The machine that rote runs on: its name, its Python, the packages a stage finds."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping

from rote.words.run import Host

_DIST = r"(?P<name>.+?)-(?P<version>[^-]+)(?:-py[\d.]+)?\.(?:dist-info|egg-info)\Z"


def host(environment: Mapping[str, str] | None = None) -> Host:
    """What a run records of its machine.

    Packages are read from the names of the folders that installers leave, one listing for each folder of packages: no
    metadata is opened, so that this costs a millisecond. Where a virtual environment is active that is not rote's own,
    a stage's `python` is that one, and so it is the one recorded.
    """
    import platform  # only a run that is recorded needs it; `by` is asked for at every start

    env = os.environ if environment is None else environment
    other = _active(env)
    if other:
        python, folders = other
    else:
        python, folders = platform.python_version(), [p for p in sys.path if p]
    return Host(
        name=_name(),
        system=f"{platform.system()} {platform.release()}",
        machine=platform.machine(),
        cpus=_cpus(),
        python=python,
        packages=packages(folders),
    )


def packages(folders: list[str]) -> dict[str, str]:
    """Name -> version of every package found in `folders`; the first folder that has a package wins, as in an import.
    Names are lower case with hyphens."""
    found: dict[str, str] = {}
    for folder in folders:
        try:
            names = os.listdir(folder)
        except OSError:
            continue  # sys.path may name what is not there, or a zip file
        for name in names:
            match = re.match(_DIST, name) if name.endswith("-info") else None
            if match:
                found.setdefault(re.sub(r"[-_.]+", "-", match["name"]).lower(), match["version"])
    return dict(sorted(found.items()))


def by(environment: Mapping[str, str] | None = None) -> str:
    """Who works here, as user@host."""
    env = os.environ if environment is None else environment
    user = env.get("LOGNAME") or env.get("USER") or env.get("USERNAME") or _user()
    text = f"{user}@{_name()}"
    return "".join(c if c.isprintable() else "?" for c in text)[:200]


def _user() -> str:
    if sys.platform == "win32":
        return "unknown"
    import pwd  # hardly ever needed, and not there on Windows

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())  # a container's nameless user


def _name() -> str:
    """The machine's name. The socket module knows it too, but takes milliseconds to load, at every start."""
    if sys.platform == "win32":
        return os.environ.get("COMPUTERNAME", "unknown")
    return os.uname().nodename


def _cpus() -> int:
    """CPUs this process may use, which in a container are fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _active(env: Mapping[str, str]) -> tuple[str, list[str]] | None:
    """Python version and package folders of the active environment, if it is another than ours."""
    prefix = env.get("VIRTUAL_ENV") or env.get("CONDA_PREFIX")
    if not prefix or os.path.realpath(prefix) == os.path.realpath(sys.prefix):
        return None
    library = os.path.join(prefix, "lib")
    try:
        names = sorted(n for n in os.listdir(library) if re.fullmatch(r"python3\.\d+", n))
    except OSError:
        return None
    if not names:
        return None
    folders = [os.path.join(library, n, "site-packages") for n in names]
    return _version(prefix) or names[-1].removeprefix("python"), folders


def _version(prefix: str) -> str | None:
    try:
        with open(os.path.join(prefix, "pyvenv.cfg"), encoding="utf-8", errors="replace") as file:
            for line in file:
                key, _, value = line.partition("=")
                if key.strip() in ("version", "version_info"):
                    return value.strip()
    except OSError:
        pass  # conda has no such file; the folder's name says enough
    return None
