"""The port to where sessions' facts lie, and the store of one process's memory behind it.

A record is taken up by a compare-and-set on its `epoch`; whoever held it before can write no
more. A store knows facts as text and no session.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from server.access.quotas import NOBODYS, Claim
from streaming_model.errors import VivantError


class Superseded(VivantError):
    """Somebody else has taken the session up, or it is no more: nothing was written."""

    code = "superseded"


class StoreError(VivantError):
    """The store cannot be reached, or cannot write."""

    code = "store_failed"


@dataclass(frozen=True, slots=True)
class Record:
    """One session.

    Attributes:
        session: its id.
        worker: who holds it.
        epoch: 1 for who opened it, one more each time that it is taken up.
        facts: what it is, as JSON; empty before it has begun.
        tenant: whom it counts for; empty for nobody.
    """

    session: str
    worker: str
    epoch: int
    facts: str = ""
    tenant: str = ""


class Store(Protocol):
    """What has been written is there when the call returns, whatever is killed afterwards.

    Every call raises `StoreError` where nobody can tell whether it was done.
    """

    async def take(
        self, session: str, worker: str, *, after: int, claim: Claim = NOBODYS
    ) -> Record:
        """Makes a worker the holder of a session whose epoch is `after`; 0 for a new one.

        A new one counts for the tenant of `claim`, wherever in the cluster the others are.

        Raises:
            Superseded: its epoch is another.
            QuotaError: its tenant has as many as it may have.
        """
        ...

    async def write(self, session: str, epoch: int, facts: str) -> None:
        """Replaces the facts of a session.

        Raises:
            Superseded: its epoch is another.
        """
        ...

    async def read(self, session: str) -> Record | None:
        """Returns a session's record; None where there is none."""
        ...

    async def forget(self, session: str, epoch: int) -> None:
        """Deletes a session that has ended; one that somebody else has taken up stays."""
        ...

    async def held(self) -> list[Record]:
        """Returns all records, without their facts."""
        ...

    async def constant(self, name: str, proposed: str) -> str:
        """Returns the value that was proposed first under a name, for all who ask."""
        ...


class Shelf:
    """The rules of every store, on a dictionary; what is to be kept is returned.

    Attributes:
        records: by session.
        constants: by name.
    """

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self.constants: dict[str, str] = {}

    def take(self, session: str, worker: str, after: int, claim: Claim = NOBODYS) -> Record:
        """Returns the record as it is from now on; raises `Superseded` and `QuotaError`."""
        found = self.records.get(session)
        if (found.epoch if found else 0) != after:
            raise Superseded(f"Session {session[:60]!r} was taken up by somebody else.")
        if found is None and claim.tenant:
            own = sum(each.tenant == claim.tenant for each in self.records.values())
            claim.check(sessions=own, waiting=0)
        before = found or Record(session, worker, 0, tenant=claim.tenant)
        record = self.records[session] = replace(before, worker=worker, epoch=after + 1)
        return record

    def write(self, session: str, epoch: int, facts: str) -> Record:
        """Returns the record as it is from now on; raises `Superseded`."""
        found = self.records.get(session)
        if found is None or found.epoch != epoch:
            raise Superseded(f"Session {session[:60]!r} is held by somebody else.")
        record = self.records[session] = replace(found, facts=facts)
        return record

    def forget(self, session: str, epoch: int) -> bool:
        """Returns whether there was something to delete."""
        found = self.records.get(session)
        if found is None or found.epoch != epoch:
            return False
        del self.records[session]
        return True

    def held(self) -> list[Record]:
        """Returns all records, without their facts."""
        return [replace(each, facts="") for each in self.records.values()]


class MemoryStore:
    """A store that lives as long as its process."""

    def __init__(self) -> None:
        self._shelf = Shelf()

    async def take(
        self, session: str, worker: str, *, after: int, claim: Claim = NOBODYS
    ) -> Record:
        """As `Store`."""
        return self._shelf.take(session, worker, after, claim)

    async def write(self, session: str, epoch: int, facts: str) -> None:
        """As `Store`."""
        self._shelf.write(session, epoch, facts)

    async def read(self, session: str) -> Record | None:
        """As `Store`."""
        return self._shelf.records.get(session)

    async def forget(self, session: str, epoch: int) -> None:
        """As `Store`."""
        self._shelf.forget(session, epoch)

    async def held(self) -> list[Record]:
        """As `Store`."""
        return self._shelf.held()

    async def constant(self, name: str, proposed: str) -> str:
        """As `Store`."""
        return self._shelf.constants.setdefault(name, proposed)
