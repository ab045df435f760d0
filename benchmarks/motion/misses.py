"""Where contacts are missed: by phone, by neighbours, by length, by place and by how far."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from benchmarks.motion.contacts import BILABIALS, LABIODENTALS, Contact
from benchmarks.motion.results import Figures, Table

VOWELS: Final = (
    "AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW",
)  # fmt: skip
NASALS: Final = ("N", "NG", "M")
_NEARLY: Final = 0.2  # of the clip's 95th percentile: the lips came close
_FEWEST: Final = 4  # phones in a group that is worth a row


def miss_tables(found: Sequence[Contact]) -> list[Table]:
    """Returns the recall of P B M and of F V in groups of phones."""
    closing = [each for each in found if each.phone in BILABIALS]
    biting = [each for each in found if each.phone in LABIODENTALS]
    tables = []
    for title, phones, met in (
        ("P B M", closing, lambda each: each.is_closed),
        ("F V", biting, lambda each: each.is_bitten),
    ):
        rows: dict[str, Figures] = {}
        for group in (_phone, _neighbours, _length, _voice):
            rows |= _grouped(phones, group, met)
        tables.append(Table(f"Where {title} are missed", rows))
    return tables


def _grouped(
    phones: Sequence[Contact], group: Callable[[Contact], str], met: Callable[[Contact], bool]
) -> dict[str, Figures]:
    named: dict[str, list[Contact]] = {}
    for phone in phones:
        named.setdefault(group(phone), []).append(phone)
    rows = {}
    for name, members in sorted(named.items()):
        if len(members) >= _FEWEST:
            missed = [each for each in members if not met(each)]
            rows[name] = {
                "phones": float(len(members)),
                "closure": 1 - len(missed) / len(members),
                "missed by gap": float(np.median([each.gap for each in missed] or [np.nan])),
                "nearly": float(
                    np.mean([float(each.gap < _NEARLY) for each in missed] or [np.nan])
                ),
            }
    return rows


def _phone(contact: Contact) -> str:
    return contact.phone


def _neighbours(contact: Contact) -> str:
    return f"{_kind(contact.before)} _ {_kind(contact.after)}"


def _kind(phone: str) -> str:
    if phone in VOWELS:
        return "vowel"
    if phone == "sil":
        return "pause"
    return "nasal" if phone in NASALS else "consonant"


def _length(contact: Contact) -> str:
    for limit in (40, 60, 80, 120):
        if contact.seconds * 1000 < limit:
            return f"shorter than {limit:3} ms"
    return "120 ms and longer"


def _voice(contact: Contact) -> str:
    return contact.voice
