"""The working tree of a project on the local file system (adapter of `ports.Workspace`)."""

from __future__ import annotations

from rote.adapters.worktree.workspace import Workspace

__all__ = ["Workspace"]
