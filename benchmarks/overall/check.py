"""Compares a run's ratios with those committed for the machine: what got dearer, and by how much.

Milliseconds are not compared: on a shared machine the same work takes 1.5 times as long within
an hour. A ratio to reference work of the same run moves with the code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.overall.results import FORMAT

WORSE: Final = 0.15  # share by which a ratio may be greater than the committed one


class CheckError(Exception):
    """The two runs cannot be compared; the message is one sentence for people."""


@dataclass(frozen=True, slots=True)
class Change:
    """One figure's ratio then and now.

    Attributes:
        name: part and name of the figure.
        reference: over what the ratio is.
        then, now: the ratios; None where the figure was not measured.
    """

    name: str
    reference: str
    then: float
    now: float | None

    @property
    def share(self) -> float | None:
        """By how much the ratio grew, as a share of what it was."""
        return None if self.now is None else self.now / self.then - 1

    @property
    def is_worse(self) -> bool:
        """Whether it grew by more than `WORSE`, or nobody knows."""
        return self.share is None or self.share > WORSE

    def __str__(self) -> str:
        said = f"{self.name}: {self.then:.3g} times {self.reference}"
        if self.share is None or self.now is None:
            return f"{said}, not measured now"
        return f"{said}, now {self.now:.3g} ({100 * self.share:+.0f} %)"


def read_results(path: Path) -> dict[str, Any]:
    """Returns the content of a file of results.

    Raises:
        CheckError: there is none, or it is none.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckError(
            f"There are no results '{path}' to compare with: `make bench ARGS=--keep` writes them."
        ) from None
    except (OSError, ValueError) as error:
        raise CheckError(f"'{path}' is not a file of results: {error}.") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckError(f"'{path}' is not a file of results of this version of the bench.")
    return content


def changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[Change]:
    """Returns how every ratio changed by which a figure of `then` is judged.

    Raises:
        CheckError: the parts measured have not one such figure in common.
    """
    found = {(each["part"], each["name"]): each for each in now["figures"]}
    parts = {each["part"] for each in now["figures"]}
    compared = []
    for figure in then["figures"]:
        reference = figure.get("judged_by")
        if reference is None or figure["part"] not in parts:
            continue
        other = found.get((figure["part"], figure["name"]))
        ratio = None if other is None else other["ratios"].get(reference)
        name = f"{figure['part']}: {figure['name']}"
        compared.append(Change(name, reference, figure["ratios"][reference], ratio))
    if not any(change.now is not None for change in compared):
        raise CheckError("The two runs have no figure in common that is judged.")
    return compared
