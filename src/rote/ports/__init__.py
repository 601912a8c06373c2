"""The ports: what services need from the outside, and the contract that every adapter keeps.

An adapter's exceptions never cross a port: everything it raises is in `rote.errors`, also in the middle of iteration.
"""

from __future__ import annotations

from rote.ports.checkpoints import CheckpointFolder, HeldTree
from rote.ports.clock import Clock
from rote.ports.executor import Bounds, Capacity, Executor, Exit, Process
from rote.ports.landing import Committed, Incoming, Landing
from rote.ports.outside import Intake, Outside
from rote.ports.progress import Progress, Silence
from rote.ports.store import Abilities, Found, Meta, ObjectStore
from rote.ports.tree import Columns, Sink, Tree
from rote.ports.workspace import EditSink, Files, WholeSink, WorkingTree, Workspace

__all__ = [
    "Abilities",
    "Bounds",
    "Capacity",
    "CheckpointFolder",
    "Clock",
    "Columns",
    "Committed",
    "EditSink",
    "Executor",
    "Exit",
    "Files",
    "Found",
    "HeldTree",
    "Incoming",
    "Intake",
    "Landing",
    "Meta",
    "ObjectStore",
    "Outside",
    "Process",
    "Progress",
    "Silence",
    "Sink",
    "Tree",
    "WholeSink",
    "WorkingTree",
    "Workspace",
]
