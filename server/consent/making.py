"""Puts the parts that have to do with people's pictures together, as the settings say."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from server.access.making import is_for_this_machine
from server.audit import AuditLog
from server.backgrounds import Backgrounds
from server.clock import Clock
from server.config import Settings
from server.consent.custody import Custody, Elsewhere
from server.consent.occupancy import Occupancy
from server.consent.options import RIGHTS_FOLDER
from server.consent.records import Records
from server.consent.screening import deny_list_of
from server.consent.warden import Warden
from server.marks.ledger import Ledger
from server.outputs.library import Library
from server.portraits import Portraits
from server.sessions import Sessions


def make_warden(settings: Settings, records: Records) -> Warden:
    """Returns who knows whose the uploads are."""
    return Warden(records, deny_list_of(settings), days=settings.consent_keep)


def make_custody(
    settings: Settings,
    portraits: Portraits,
    warden: Warden,
    *,
    sessions: Sessions,
    library: Library,
    backgrounds: Backgrounds,
    ledger: Ledger,
    audit: AuditLog,
    clock: Clock,
    prune: Callable[[Collection[Path]], None],
    elsewhere: Elsewhere | None = None,
) -> Custody:
    """Returns who takes, keeps and deletes pictures."""
    return Custody(
        portraits,
        warden,
        settings.consents(is_local=is_for_this_machine(settings)),
        sessions=sessions,
        library=library,
        backgrounds=backgrounds,
        ledger=ledger,
        audit=audit,
        clock=clock,
        occupancy=Occupancy(settings.cache_dir / RIGHTS_FOLDER),
        prune=lambda: prune(portraits.paths),
        elsewhere=elsewhere,
    )
