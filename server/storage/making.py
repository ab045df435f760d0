"""Puts together where uploads and recordings lie: in folders, or in a storage for many workers."""

from __future__ import annotations

from concurrent.futures import Executor
from typing import TYPE_CHECKING

from server.backgrounds import Backgrounds
from server.clock import Clock
from server.consent.options import RIGHTS_FOLDER, UPLOADS_FOLDER
from server.consent.records import Records
from server.outputs.library import Library
from server.uploads import UploadFolder
from streaming_model.backdrop import Backdrop

if TYPE_CHECKING:
    from server.config import Settings
    from server.storage.blobs import Blobs


class Places:
    """Where each kind of thing lies, as the settings say.

    Attributes:
        is_shared: whether it is a storage.

    Raises:
        StorageError: the storage's address is none, or the library for it is missing.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._blobs: Blobs | None = None
        if settings.storage is not None:
            from server.storage.blobs import Blobs  # fsspec's: not for whoever needs none

            self._blobs = Blobs(settings.storage)

    @property
    def is_shared(self) -> bool:
        """Whether things lie in a storage."""
        return self._blobs is not None

    def uploads(self) -> UploadFolder:
        """Returns where pictures lie."""
        folder = self._settings.cache_dir / UPLOADS_FOLDER
        if self._blobs is None:
            return UploadFolder(folder)
        from server.storage.pictures import SharedUploads

        return SharedUploads(folder, self._blobs)

    def records(self) -> Records:
        """Returns where the statements on them lie."""
        if self._blobs is None:
            return Records(self._settings.cache_dir / RIGHTS_FOLDER)
        from server.storage.statements import SharedRecords

        return SharedRecords(self._blobs)

    def backgrounds(self, worker: Executor) -> Backgrounds:
        """Returns the backgrounds that sessions may ask for."""
        default = Backdrop.read(self._settings.background)
        if self._blobs is None:
            folder = self._settings.cache_dir / "backgrounds"
            return Backgrounds(default=default, folder=folder, worker=worker)
        from server.storage.backdrops import SharedBackgrounds

        return SharedBackgrounds(default=default, blobs=self._blobs, worker=worker)

    def library(self, clock: Clock) -> Library:
        """Returns where recordings lie."""
        options = self._settings.outputs()
        if self._blobs is None:
            return Library(options.folder, kept=options.kept, clock=clock)
        from server.storage.films import SharedLibrary

        # Several workers may be given one folder: what lies there unfinished may be another's.
        own = self._settings.cache_dir
        given = self._settings.recordings_dir
        folder = own / "recordings" if given is None else given / own.name
        return SharedLibrary(folder, self._blobs, kept=options.kept, clock=clock)
