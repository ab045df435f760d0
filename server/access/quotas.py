"""How much each tenant may have at once: a file of the operator's, read anew when it changes.

A tenant is a key, or several that the file puts together. It knows no session: who counts asks
for a `Claim` and checks the counts against it.
"""

from __future__ import annotations

import logging
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from server.principal import Principal
from streaming_model.errors import VivantError

_LOG = logging.getLogger(__name__)
_DEFAULT: Final = "default"  # the table of every key that no other table names
_LIMITS: Final = ("sessions", "waiting")
_MOST: Final = 1_000_000


class QuotaError(VivantError):
    """A tenant has as much as it may have."""

    code = "quota_exceeded"


class QuotaFileError(VivantError):
    """The file of quotas cannot be used."""

    code = "settings_invalid"


@dataclass(frozen=True, slots=True)
class Claim:
    """Who wants a session, and how much they may have.

    Attributes:
        tenant: whose sessions are counted together; empty for nobody's, which are not.
        title: the tenant, for people.
        sessions: at most so many at once, those that are waited for among them; None for any.
        waiting: at most so many places in line; None for any.
    """

    tenant: str = ""
    title: str = ""
    sessions: int | None = None
    waiting: int | None = None

    def check(self, *, sessions: int, waiting: int, waits: bool = False) -> None:
        """Accepts one session more than a tenant has.

        Args:
            sessions: that are open.
            waiting: that are waited for.
            waits: whether the new one would be, too.

        Raises:
            QuotaError: that would be too many.
        """
        if self.sessions is not None and sessions + waiting >= self.sessions:
            beyond = f" ({waiting} in line)" if waiting else ""
            raise QuotaError(
                f"{self.title} has {sessions + waiting} sessions{beyond}, of at most "
                f"{self.sessions} at once: end one first."
            )
        if waits and self.waiting is not None and waiting >= self.waiting:
            raise QuotaError(
                f"All sessions are in use, and {self.title} has {waiting} places in line, of at "
                f"most {self.waiting}."
            )


NOBODYS: Final = Claim()


@dataclass(frozen=True, slots=True)
class _Tenant:
    keys: frozenset[str] = frozenset()
    limits: dict[str, int] = field(default_factory=dict)


class Quotas:
    """The quotas of one file.

    Args:
        path: None for no quotas.

    Raises:
        QuotaFileError: the file cannot be read, or says what is impossible.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._tenants: dict[str, _Tenant] = {}
        self._seen: tuple[int, int] | None = None
        if path is not None:
            self._tenants, self._seen = read_quotas(path), _version(path)

    def claim(self, principal: Principal) -> Claim:
        """Returns whom a session would count for; nobody, where no key is asked for."""
        if self._path is None or not principal.key_id:
            return NOBODYS
        self._look(self._path)
        for name, tenant in self._tenants.items():
            if principal.name in tenant.keys:
                return Claim(f"tenant:{name}", f"Tenant {name!r}", **_given(tenant))
        default = self._tenants.get(_DEFAULT, _Tenant())
        return Claim(f"key:{principal.key_id}", f"Key {principal.name!r}", **_given(default))

    def _look(self, path: Path) -> None:
        """Reads the file if it is another than before; where it cannot be, what it said holds."""
        seen = _version(path)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._tenants = read_quotas(path)
        except QuotaFileError as error:
            _LOG.error("%s Until then the quotas are as they were.", error)


def _given(tenant: _Tenant) -> dict[str, Any]:
    return dict(tenant.limits)


def _version(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def read_quotas(path: Path) -> dict[str, _Tenant]:
    """Returns the tables of a file, by their names.

    Raises:
        QuotaFileError: it cannot be read, or says what is impossible.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = error.strerror or "unreadable"
        raise QuotaFileError(f"The quotas in '{path}' cannot be read: {reason}.") from None
    except (ValueError, RecursionError) as error:
        raise QuotaFileError(f"The quotas in '{path}' are not TOML: {error}.") from None
    tenants = {name: _tenant(path, name, table) for name, table in tables.items()}
    owners: dict[str, str] = {}
    for name, tenant in tenants.items():
        for key in sorted(tenant.keys):
            other = owners.setdefault(key, name)
            if other != name:
                raise QuotaFileError(
                    f"In '{path}' key {key!r} is in [{other}] and in [{name}]: one is meant."
                )
    return tenants


def _tenant(path: Path, name: str, table: Any) -> _Tenant:  # noqa: ANN401 - of a file
    where = f"In '{path}' [{name[:60]}]"
    if not isinstance(table, dict):
        raise QuotaFileError(f"In '{path}' {name[:60]!r} must be a table: [{name[:60]}].")
    unknown = sorted(set(table) - {*_LIMITS, "keys"})
    if unknown:
        valid = ", ".join((*_LIMITS, "keys"))
        raise QuotaFileError(f"{where} sets unknown {', '.join(unknown)[:60]}; valid are {valid}.")
    keys = table.get("keys", [])
    if not isinstance(keys, list) or not all(isinstance(each, str) for each in keys):
        raise QuotaFileError(f"{where} keys must be names of keys, not {keys!r:.60}.")
    if bool(keys) == (name == _DEFAULT):
        wanted = "no keys: it is for all others" if keys else "keys: whose quotas are they?"
        raise QuotaFileError(f"{where} needs {wanted}.")
    limits = {each: table[each] for each in _LIMITS if each in table}
    for each, value in limits.items():
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST:
            raise QuotaFileError(
                f"{where} {each} must be a whole number from 0 to {_MOST}, not {value!r:.60}."
            )
    return _Tenant(frozenset(keys), limits)
