"""What goes wrong with a storage; apart, so that whoever has none imports no library for it."""

from __future__ import annotations

from streaming_model.errors import VivantError


class StorageError(VivantError):
    """The shared storage cannot be reached, or refuses."""

    code = "storage_failed"
