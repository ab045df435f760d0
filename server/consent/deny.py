"""Whose face may not be used: a file of embeddings that the operator fills, and no picture.

Read anew when it changes. Blocks, and looks for faces, so it is called on a worker.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import secrets
import threading
from collections import OrderedDict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from server.consent.options import DISTANCE
from server.consent.records import utc_now
from server.voice.cache import write_atomically
from streaming_model.errors import NoFaceError, PortraitError, VivantError

_LOG = logging.getLogger(__name__)
_REMEMBERED: Final = 200  # pictures whose embeddings stay in memory
_MOST_FACES: Final = 5  # of one picture
Embedding = NDArray[np.float32]
Found = tuple[str, list[Embedding]]


class FaceDeniedError(PortraitError):
    """The face is one that may not be used."""

    code = "face_denied"


class DenyListError(VivantError):
    """The deny-list cannot be read or written, or has no such entry."""

    code = "deny_list_unusable"


@dataclass(frozen=True, slots=True)
class DeniedFace:
    """One face.

    Attributes:
        id: what it is removed by.
        added: when, ISO 8601 in UTC.
        note: the operator's words.
        embedder: the net that the numbers are of.
        embedding: Base64 of float32, little-endian.
    """

    id: str
    added: str
    note: str
    embedder: str
    embedding: str

    @property
    def vector(self) -> Embedding:
        """The numbers."""
        return np.frombuffer(base64.b64decode(self.embedding, validate=True), "<f4").astype(
            np.float32
        )


def embed_faces(picture: Path | bytes, net: Path | None = None) -> tuple[str, list[Embedding]]:
    """Returns the net's name and the embeddings of a picture's faces, the largest first.

    Raises:
        PortraitError: the picture cannot be read.
        ModelFileError: a net's file is missing or damaged.
    """
    from streaming_model.portrait.identity import EMBEDDER, shared_embedder
    from streaming_model.portrait.image import load_image
    from streaming_model.portrait.landmarks import shared_landmarker

    image, marker = load_image(picture), shared_landmarker()
    embedder = shared_embedder(net or EMBEDDER)
    steady = [marker.steadied(image, face)[0] for face in marker.detect(image)[:_MOST_FACES]]
    return embedder.name, [embedder.embed(image, face.landmarks) for face in steady]


class DenyList:
    """A file of faces, which need not exist.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path, *, net: Path | None = None, distance: float = DISTANCE) -> None:
        """Takes the file, the net that tells faces apart, and how near the same face is."""
        self.path = path
        self._net = net
        self._distance = distance
        self._stamp: tuple[int, int] | None = None
        self._faces: list[DeniedFace] = []
        self._known: OrderedDict[str, Found] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def is_empty(self) -> bool:
        """Whether it forbids nobody."""
        return not self.faces()

    def faces(self) -> list[DeniedFace]:
        """Returns the entries, the oldest first.

        Raises:
            DenyListError: the file cannot be read: then nobody's face may be used.
        """
        with self._lock:
            stamp = self._stamped()
            if stamp != self._stamp:
                self._faces = [] if stamp is None else self._read()
                self._stamp = stamp
            return list(self._faces)

    def add(self, picture: Path, note: str = "") -> DeniedFace:
        """Adds the largest face of a picture; the picture is not kept.

        Raises:
            PortraitError: it cannot be read, or there is no face in it.
            DenyListError: the file cannot be written.
        """
        embedder, vectors = embed_faces(picture, self._net)
        if not vectors:
            raise NoFaceError(f"There is no face in '{picture.name}'.")
        face = DeniedFace(
            id=secrets.token_hex(4),
            added=utc_now().isoformat(timespec="seconds"),
            note=note,
            embedder=embedder,
            embedding=base64.b64encode(vectors[0].astype("<f4").tobytes()).decode(),
        )
        self._write([*self.faces(), face])
        return face

    def remove(self, face_id: str) -> None:
        """Takes an entry out.

        Raises:
            DenyListError: there is none, or the file cannot be written.
        """
        faces = self.faces()
        left = [face for face in faces if face.id != face_id]
        if len(left) == len(faces):
            raise DenyListError(f"There is no entry {face_id[:40]!r} on the deny-list.")
        self._write(left)

    def screen(self, picture: Path | bytes) -> None:
        """Accepts a picture none of whose faces is on the list; also one without a face.

        Raises:
            FaceDeniedError: it is on one; whose is not told.
            DenyListError: the list cannot be read.
            ModelFileError: a net's file is missing or damaged.
        """
        if self.is_empty:
            return
        try:
            near = self.distances(picture)
        except PortraitError:
            return  # it will be refused for what it is
        if any(distance < self._distance for _, distance in near):
            raise FaceDeniedError(
                "This face may not be used here: it is on the operator's deny-list."
            )

    def distances(self, picture: Path | bytes) -> list[tuple[DeniedFace, float]]:
        """Returns how far each entry is from the nearest face of a picture; [] without a face.

        Raises:
            PortraitError: the picture cannot be read.
            DenyListError: the list cannot be read, or is of another net.
            ModelFileError: a net's file is missing or damaged.
        """
        embedder, vectors = self._found(picture)
        near = []
        for face in self.faces() if vectors else ():
            if face.embedder != embedder:
                raise DenyListError(
                    f"The deny-list's entry {face.id} is of another face embedder: add it anew."
                )
            near.append((face, min(float(np.linalg.norm(face.vector - it)) for it in vectors)))
        return near

    def _found(self, picture: Path | bytes) -> Found:
        content = picture if isinstance(picture, bytes) else picture.read_bytes()
        key = hashlib.sha256(content).hexdigest()
        if key not in self._known:
            self._known[key] = embed_faces(content, self._net)
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return self._known[key]

    def forget(self, sha256: str) -> None:
        """Forgets what it remembers of a picture, named by its SHA-256 in hexadecimal."""
        self._known.pop(sha256, None)

    def _stamped(self) -> tuple[int, int] | None:
        try:
            about = self.path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unreadable(error.strerror or "unreadable") from None
        return about.st_mtime_ns, about.st_size

    def _read(self) -> list[DeniedFace]:
        try:
            values: Any = json.loads(self.path.read_text(encoding="utf-8"))
            faces = [DeniedFace(**each) for each in values["faces"]]
            for face in faces:
                if not np.isfinite(face.vector).all():
                    raise ValueError("numbers that are none")
        except OSError as error:
            raise self._unreadable(error.strerror or "unreadable") from None
        except (ValueError, TypeError, KeyError) as error:
            raise self._unreadable(f"damaged, {error}") from None
        return faces

    def _unreadable(self, reason: str) -> DenyListError:
        return DenyListError(f"The deny-list {self.path.name} cannot be read: {reason}.")

    def _write(self, faces: list[DeniedFace]) -> None:
        try:
            text = json.dumps({"faces": [asdict(face) for face in faces]}, indent=1)
            write_atomically(self.path, [text.encode()])
        except OSError as error:
            reason = error.strerror or "unwritable"
            raise DenyListError(
                f"The deny-list {self.path.name} cannot be written: {reason}."
            ) from None
