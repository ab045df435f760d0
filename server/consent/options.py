"""What the operator wants of people's pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from server.consent.retention import Retention
from server.consent.rights import Demand

# Of 128 numbers by the shipped net, whose author puts the line at 0.6 for telling people apart and
# not for refusing them: docs/security.md tells what was measured at this one.
DISTANCE: Final = 0.45
UPLOADS_FOLDER: Final = "uploads"  # in the cache folder
RIGHTS_FOLDER: Final = "rights"  # the same


@dataclass(frozen=True, slots=True)
class ConsentOptions:
    """What is settled before a server starts.

    Attributes:
        demand: whether pictures without a statement are taken.
        retention: how long they stay.
        keeps_addresses: whether it is kept from where they came.
        ledger_days: after which the ledger of sessions forgets one; 0 for never.
        deny_list: the file of faces that may not be used.
        deny_distance: how near two embeddings are of the same face.
        embedder: the net that makes them; None for the shipped one.
    """

    demand: Demand
    retention: Retention
    keeps_addresses: bool
    ledger_days: float
    deny_list: Path
    deny_distance: float = DISTANCE
    embedder: Path | None = None
