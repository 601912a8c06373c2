"""A store in a folder, on a disk of this machine or on one that several machines share (docs/format.md, 3)."""

from rote.adapters.stores.folder.store import FolderStore

__all__ = ["FolderStore"]
