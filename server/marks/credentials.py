"""Content credentials (C2PA 2.1) for films: made, put into the film or beside it, and read.

MP4 and MOV carry theirs. C2PA has no place for them in WebM and MKV: theirs are in a file of the
same name that ends in `.c2pa`.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import c2pa

from server.marks.certificates import Certificate
from server.marks.payload import tag_of
from server.voice.cache import write_atomically
from streaming_model.errors import VivantError, printable

SIDECAR: Final = ".c2pa"
UNFINISHED: Final = ".signed"  # a copy that is being signed
_MOST_IN_MEMORY: Final = 16  # megabytes
_MOST_SAID: Final = 200  # characters of what a library or a manifest says
LEAST_LEFT: Final = 64_000_000  # bytes that are free beside the copy of a film
PRODUCT: Final = "Vivant"
SESSION_ASSERTION: Final = "org.vivant.session"
RIGHTS_ASSERTION: Final = "org.vivant.rights"
SOURCE_TYPE: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
_INSIDE: Final = {".mp4": "video/mp4", ".mov": "video/quicktime", ".m4v": "video/x-m4v"}
_BESIDE: Final = {".webm": "video/webm", ".mkv": "video/x-matroska"}
_PICTURES: Final = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png"}
_CREATED: Final = ("c2pa.actions.v2", "c2pa.actions")


class CredentialsError(VivantError):
    """A film cannot be given credentials, or what should be some cannot be read."""

    code = "credentials_failed"


@dataclass(frozen=True, slots=True)
class Statement:
    """What is said of a film.

    Attributes:
        session_id: of the session or the rendering; only its hash is told, for the id itself lets
            people in.
        made: when the film was made.
        rights: by what right its maker uses the picture, as they say; empty for nothing said.
    """

    session_id: str
    made: datetime
    rights: str = ""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a film's credentials say.

    Attributes:
        state: `valid` if the film is as it was signed; `trusted` if its signer is on a list of
            trust besides; `broken` if it was changed since.
        generator: what made the film, by its own account.
        signer: whose certificate it is signed with.
        when: when it was made, as it was written.
        source_type: last part of the IPTC's word for where the pictures come from.
        tag: of the session; empty in films that others made.
        rights: by what right the picture was said to be used; empty where nothing was.
    """

    state: Literal["trusted", "valid", "broken"]
    generator: str
    signer: str
    when: str
    source_type: str
    tag: str
    rights: str = ""

    @property
    def is_ours(self) -> bool:
        """Whether they are whole and say that this program made the film."""
        return self.state != "broken" and self.generator.startswith(PRODUCT)


def sign_film(path: Path, certificate: Certificate, statement: Statement) -> Path:
    """Gives a finished film credentials; returns the file that they are in.

    The film is copied, and takes its name when the copy is complete.

    Raises:
        CredentialsError: they cannot be made for it, or not written.
    """
    suffix = path.suffix.lower()
    is_inside = suffix in _INSIDE
    form = _INSIDE.get(suffix) or _BESIDE.get(suffix)
    if form is None:
        raise CredentialsError(f"'{path.name}' is no film that content credentials are made for.")
    if shutil.disk_usage(path.parent).free < path.stat().st_size + LEAST_LEFT:
        raise CredentialsError(f"'{path.name}' gets no content credentials: the disk is full.")
    part = path.with_name(f".{path.name}{UNFINISHED}")
    info = c2pa.C2paSignerInfo(
        certificate.algorithm.encode(), certificate.chain.encode(), certificate.key, None
    )
    try:
        with ExitStack() as stack:
            builder = stack.enter_context(c2pa.Builder(_manifest(path, statement), _offline()))
            if not is_inside:
                builder.set_no_embed()
            signer = stack.enter_context(c2pa.Signer.from_info(info))
            source = stack.enter_context(path.open("rb"))
            target = stack.enter_context(part.open("w+b"))
            store = builder.sign(signer, form, source, target)
        if is_inside:
            part.replace(path)
            return path
        beside = path.with_suffix(SIDECAR)
        write_atomically(beside, [store])
        return beside
    except (c2pa.C2paError, OSError) as error:
        raise CredentialsError(f"'{path.name}' gets no content credentials: {error}") from error
    finally:
        part.unlink(missing_ok=True)


def read_credentials(path: Path) -> Credentials | None:
    """Returns what a film's or picture's credentials say, None if it has none.

    Nothing is fetched from the network.

    Raises:
        CredentialsError: there are some, and they cannot be read.
    """
    suffix = path.suffix.lower()
    form = {**_INSIDE, **_BESIDE, **_PICTURES}.get(suffix)
    beside = path.with_suffix(SIDECAR)
    if form is None or (suffix in _BESIDE and not beside.is_file()):
        return None
    try:
        with ExitStack() as stack:
            stream = stack.enter_context(path.open("rb"))
            store = beside.read_bytes() if suffix in _BESIDE else None
            reader = stack.enter_context(
                c2pa.Reader(form, stream, manifest_data=store, context=_offline())
            )
            state = reader.get_validation_state()
            return _told(reader.get_active_manifest() or {}, str(state))
    except c2pa.C2paError.ManifestNotFound:
        return None
    except (c2pa.C2paError, OSError) as error:
        said = " ".join(str(error).split())[:_MOST_SAID].rstrip(".")
        reason = f"The content credentials of '{path.name}' cannot be read: {said}."
        raise CredentialsError(reason) from error


def _manifest(path: Path, statement: Statement) -> dict[str, Any]:
    generator = {"name": PRODUCT, "version": importlib.metadata.version("vivant")}
    when = statement.made.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    action = {
        "action": "c2pa.created",
        "when": when,
        "digitalSourceType": SOURCE_TYPE,
        "softwareAgent": generator,
    }
    session = {
        "session_sha256": hashlib.sha256(statement.session_id.encode()).hexdigest(),
        "tag": tag_of(statement.session_id),
    }
    said = [{"label": RIGHTS_ASSERTION, "data": {"rights": statement.rights}}]
    return {
        "claim_generator_info": [generator],
        "title": path.name,
        "assertions": [
            {"label": _CREATED[0], "data": {"actions": [action]}},
            {"label": SESSION_ASSERTION, "data": session},
            *(said if statement.rights else []),
        ],
    }


def _told(manifest: dict[str, Any], state: str) -> Credentials:
    nothing: dict[str, Any] = {}
    assertions = {
        str(each.get("label")): _object(each.get("data"))
        for each in _objects(manifest.get("assertions"))
    }
    actions = [
        action
        for label in _CREATED
        for action in _objects(assertions.get(label, nothing).get("actions"))
    ]
    created = next((each for each in actions if each.get("action") == "c2pa.created"), nothing)
    generator = next(iter(_objects(manifest.get("claim_generator_info"))), nothing)
    name = f"{generator.get('name', '')} {generator.get('version', '')}".strip()
    signature = _object(manifest.get("signature_info"))
    states: dict[str, Literal["trusted", "valid"]] = {"Trusted": "trusted", "Valid": "valid"}
    return Credentials(
        state=states.get(state, "broken"),
        generator=_text(name) or "unknown",
        signer=_text(signature.get("issuer") or signature.get("common_name") or "unknown"),
        when=_text(created.get("when") or signature.get("time") or ""),
        source_type=_text(str(created.get("digitalSourceType", "")).rpartition("/")[2]),
        tag=_text(assertions.get(SESSION_ASSERTION, nothing).get("tag", "")),
        rights=_text(assertions.get(RIGHTS_ASSERTION, nothing).get("rights", "")),
    )


def _objects(value: object) -> list[dict[str, Any]]:
    """Returns the objects of a list in a stranger's manifest, where it is one."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    """Returns a stranger's words as a terminal may be told them."""
    return printable(str(value)[:_MOST_SAID])


@cache
def _offline() -> c2pa.Context:
    """Returns settings with which nothing is fetched: a stranger's file names whom it likes.

    What is signed beyond the given size goes by a temporary file, or all of a film would be in
    memory.
    """
    return c2pa.Context(
        c2pa.Settings.from_dict(
            {
                "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
                "core": {"backing_store_memory_threshold_in_mb": _MOST_IN_MEMORY},
            }
        )
    )
