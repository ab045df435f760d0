"""`vivant deny`, and `vivant portrait list`, `show` and `delete`: an operator's hands on pictures.

They work on the files of a server of this machine, whether it runs or not, as its settings say.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from streaming_model.errors import VivantError

if TYPE_CHECKING:
    from server.config import Settings

_CONFIG: Final = "a TOML file with the server's settings"


def add_deny(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `vivant deny`."""
    deny = commands.add_parser("deny", help="name faces that may not be used")
    actions = deny.add_subparsers(required=True, metavar="ACTION")
    add = _action(actions, "add", run_deny_add, "put the face of a picture on the list")
    add.add_argument("picture", type=Path, metavar="PICTURE", help="it is not kept")
    add.add_argument("--note", default="", help="for yourself: why, or who asked for it")
    _action(actions, "list", run_deny_list, "show the list").add_argument(
        "--json", action="store_true", help="for programs"
    )
    remove = _action(actions, "remove", run_deny_remove, "take a face off the list")
    remove.add_argument("id", metavar="ID", help="of `vivant deny list`")
    check = _action(actions, "check", run_deny_check, "tell how near a picture is to the list")
    check.add_argument("picture", type=Path, metavar="PICTURE")
    for action in actions.choices.values():
        action.add_argument("--deny-list", type=Path, metavar="FILE", help="where it is kept")
        action.add_argument("--face-embedder", type=Path, metavar="FILE", help="ONNX net to use")


def add_uploads(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `list`, `show` and `delete` to `vivant portrait`."""
    listed = _action(actions, "list", run_list, "show the uploaded portraits of this machine")
    listed.add_argument("--json", action="store_true", help="for programs")
    show = _action(actions, "show", run_show, "tell who brought a portrait, and by what right")
    delete = _action(actions, "delete", run_delete, "delete a portrait and all made of it")
    for action in (show, delete):
        action.add_argument("id", metavar="ID", help="of `vivant portrait list`")
    for action in (listed, show, delete):
        action.add_argument("--cache-dir", type=Path, metavar="FOLDER", help="of the server")
    delete.add_argument("--recordings-dir", type=Path, metavar="FOLDER", help="of the server")


def _action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace], int],
    told: str,
) -> argparse.ArgumentParser:
    action = actions.add_parser(name, help=told)
    action.add_argument("--config", metavar="FILE", help=_CONFIG)
    action.set_defaults(run=run)
    return action


def run_deny_add(options: argparse.Namespace) -> int:
    """Puts the largest face of a picture on the list."""
    from server.consent.screening import deny_list_of

    settings = _settings(options)
    if not options.picture.is_file():
        raise VivantError(f"There is no picture '{options.picture}'.")
    face = deny_list_of(settings).add(options.picture, options.note)
    _note(settings, "face.denied", face=face.id)
    print(f"{face.id}: this face is refused from now on.")
    return 0


def run_deny_list(options: argparse.Namespace) -> int:
    """Shows the entries, without their numbers."""
    from server.consent.screening import deny_list_of

    faces = deny_list_of(_settings(options)).faces()
    if options.json:
        print(json.dumps([{"id": it.id, "added": it.added, "note": it.note} for it in faces]))
        return 0
    for face in faces:
        print(f"{face.id}  {face.added}  {face.note}")
    return 0


def run_deny_remove(options: argparse.Namespace) -> int:
    """Takes an entry off."""
    from server.consent.screening import deny_list_of

    settings = _settings(options)
    deny_list_of(settings).remove(options.id)
    _note(settings, "face.allowed", face=options.id)
    return 0


def run_deny_check(options: argparse.Namespace) -> int:
    """Tells the distance to every entry; returns 1 where one is too near."""
    from server.consent.screening import deny_list_of

    settings = _settings(options)
    if not options.picture.is_file():
        raise VivantError(f"There is no picture '{options.picture}'.")
    near = deny_list_of(settings).distances(options.picture)
    for face, distance in near:
        verdict = "refused" if distance < settings.deny_distance else "another face"
        print(f"{face.id}  {distance:.2f} of {settings.deny_distance:.2f}  {verdict}  {face.note}")
    return int(any(distance < settings.deny_distance for _, distance in near))


def run_list(options: argparse.Namespace) -> int:
    """Lists uploads with what was said of them."""
    shelf = _shelf(options)
    rows = [shelf.describe(upload_id) for upload_id in shelf.ids()]
    if options.json:
        print(json.dumps(rows, indent=2))
        return 0
    for row in rows:
        kept = "kept" if row["kept"] else "for its session"
        print(f"{row['portrait']}  {row['when'] or '-':25}  {row['rights']:24}  {kept:15}  "
              f"{row['who'] or '-':12}  {row['name']}")  # fmt: skip
    return 0


def run_show(options: argparse.Namespace) -> int:
    """Tells all that is known of an upload."""
    print(json.dumps(_shelf(options).describe(options.id), indent=2))
    return 0


def run_delete(options: argparse.Namespace) -> int:
    """Deletes an upload; a server that runs notices within ten seconds."""
    settings, shelf = _settings(options), _shelf(options)
    told: dict[str, Any] = shelf.describe(options.id)
    digest = told["portrait_sha256"]
    _note(settings, "portrait.deleted", portrait=options.id, portrait_sha256=digest)
    films = shelf.delete(options.id, days=settings.consent_keep)
    print(f"{options.id} is deleted, with {len(films)} recordings.")
    return 0


def _settings(options: argparse.Namespace) -> Settings:
    from server.config import Settings

    return Settings.load(options)


def _shelf(options: argparse.Namespace) -> Any:  # noqa: ANN401 - imported when it is needed
    from server.consent.shelf import Shelf

    return Shelf(_settings(options))


def _note(settings: Settings, deed: str, **what: str) -> None:
    from server.audit import AuditLog

    audit = AuditLog(settings.audit_log)
    audit.note(deed, **what)
    audit.close()
