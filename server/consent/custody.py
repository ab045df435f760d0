"""People's pictures on a server: taken with a statement, kept as asked, deleted with all of them.

It puts together what the parts decide. It knows nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from server.audit import AuditLog
from server.backgrounds import Backgrounds
from server.clock import Clock
from server.consent.brought import Brought
from server.consent.occupancy import Occupancy
from server.consent.options import ConsentOptions
from server.consent.records import Record, utc_now
from server.consent.retention import Overdue
from server.consent.rights import NOT_STATED, NOTICE, read_statement
from server.consent.warden import Warden, owner_id
from server.marks.ledger import Ledger
from server.outputs.library import Library, session_of
from server.portrait_pictures import PortraitEntry
from server.portraits import Portraits
from server.principal import acting
from server.protocol import ProtocolError
from server.sessions import Sessions

_LOG = logging.getLogger(__name__)
_BY_HAND: Final = "deleted by hand"
_INTERVAL: Final = 10_000_000_000  # ns between looks at what has to go


@dataclass(frozen=True, slots=True)
class Shown:
    """What other servers show that have the same pictures.

    Attributes:
        names: of portraits and backgrounds.
        sessions: ids of those that live anywhere.
        is_ours: whether it is this server's to delete what is shown no more.
    """

    names: frozenset[str]
    sessions: frozenset[str]
    is_ours: bool = True


Elsewhere = Callable[[], Awaitable[Shown]]


class Custody:
    """One server's."""

    def __init__(
        self,
        portraits: Portraits,
        warden: Warden,
        options: ConsentOptions,
        *,
        sessions: Sessions,
        library: Library,
        backgrounds: Backgrounds,
        ledger: Ledger,
        audit: AuditLog,
        clock: Clock,
        occupancy: Occupancy,
        prune: Callable[[], None],
        elsewhere: Elsewhere | None = None,
    ) -> None:
        """Takes what it needs.

        `prune` deletes what was made of pictures that are not there; `elsewhere` tells what others
        show that have the same pictures.
        """
        self._portraits = portraits
        self._warden = warden
        self._options = options
        self._sessions = sessions
        self._library = library
        self._backgrounds = backgrounds
        self._ledger = ledger
        self._audit = audit
        self._clock = clock
        self._occupancy = occupancy
        self._prune = prune
        self._elsewhere = elsewhere
        self._looking = asyncio.Lock()
        self._looks = 0  # begun
        self._overdue = Overdue(options.retention)

    @property
    def is_shared(self) -> bool:
        """Whether others have the same pictures."""
        return self._elsewhere is not None

    @property
    def worker(self) -> Executor:
        """The thread for what blocks."""
        return self._portraits.worker

    async def add(self, brought: Brought) -> PortraitEntry:
        """Makes a portrait of a picture.

        Raises:
            RightsMissingError: nothing was said of the right to use it, and it is required.
            ProtocolError: `bad_request`, what was said is impossible.
            PortraitError: the picture cannot be used; nothing is kept.
        """
        said = read_statement(brought.rights, brought.note, demand=self._options.demand)
        who = acting()
        is_kept = self.keeps(is_asked=brought.keep)
        session = self._sessions.get(brought.session or "")
        uploaded = hashlib.sha256(brought.data).hexdigest()

        def prepare(portrait: str, data: bytes) -> None:
            self._warden.keep(
                Record(
                    portrait=portrait,
                    picture_sha256=uploaded,
                    portrait_sha256=hashlib.sha256(data).hexdigest(),
                    rights=said.right,
                    note=said.note,
                    who=who.name,
                    owner=owner_id(who),
                    session=session.id if session is not None else None,
                    address=brought.address if self._options.keeps_addresses else None,
                    when=utc_now().isoformat(timespec="seconds"),
                    is_kept=is_kept,
                )
            )
            self._overdue.touch(portrait, self._clock.now())

        try:
            entry = await self._portraits.add(
                brought.data,
                brought.filename,
                name=brought.name,
                crop=brought.crop,
                owner=owner_id(who),
                prepare=prepare,
            )
        except Exception as error:
            if getattr(error, "code", "") == "face_denied":
                self._audit.tell("portrait.denied", picture_sha256=uploaded)
            raise
        digest = await self._portraits.digest(entry.id)
        self._audit.note(
            "portrait.added",
            portrait=entry.id,
            portrait_sha256=digest,
            rights=said.right,
            kept=is_kept,
        )
        return entry

    def keeps(self, *, is_asked: bool) -> bool:
        """Returns whether what is uploaded outlives its sessions."""
        return self._options.retention.keeps(is_asked=is_asked)

    def terms_of(self, portrait: str) -> dict[str, Any]:
        """Returns whether a portrait outlives its sessions, and what there is to say of its use."""
        record = self._warden.records.get(portrait)
        if record is None:
            return {"kept": True, "notices": []}
        return {
            "kept": record.is_kept,
            "notices": [NOTICE] if record.rights == NOT_STATED else [],
        }

    def record(self, portrait: str) -> Record:
        """Returns what was said of an upload, to whose it is.

        Raises:
            ProtocolError: `not_found`, also for somebody else's; `forbidden`, it is no upload.
        """
        entry = self._portraits.own(portrait, "asked about: nobody uploaded it")
        return self._warden.records[entry.id]

    async def remove(self, portrait: str, *, ends_sessions: bool = False) -> None:
        """Deletes an upload with the recordings that show it and all else that was made of it.

        Sessions that show it go on, or end.

        Raises:
            ProtocolError: `not_found`; `forbidden`, it is no upload.
        """
        entry = self._portraits.own(portrait, "deleted")
        digest = await self._portraits.digest(entry.id)
        self._audit.note("portrait.deleted", portrait=entry.id, portrait_sha256=digest)
        record = self._warden.records.get(entry.id)
        await self._portraits.remove(entry.id)
        await self._clear_traces(entry.id, record)
        if ends_sessions:
            self._end_sessions({entry.id})

    async def look(self, *, ends_sessions: Collection[str] = ()) -> None:
        """Takes in what other servers have done to the pictures up to now.

        Sessions that show one of `ends_sessions` end. Who comes while it looks waits for one look
        more, all together.

        Raises:
            StorageError: the storage cannot be reached.
        """
        mine = self._looks + 1
        async with self._looking:
            if self._looks < mine:
                self._looks += 1
                await self._look()
        self._end_sessions(ends_sessions)

    async def _look(self) -> None:
        before = self._warden.told()
        await self._work(self._warden.look)
        for entry in await self._portraits.look():
            await self._portraits.drop(entry)
            await self._clear_traces(entry.id, before.get(entry.id))
        await self._work(self._adopt)
        for portrait in self._warden.told().keys() - before.keys():
            self._overdue.touch(portrait, self._clock.now())

    async def _clear_traces(self, portrait: str, record: Record | None) -> None:
        """Deletes what is left of a portrait that has gone."""
        for film in record.films if record is not None else ():
            await self._delete_film(film)
        await self._work(self._warden.drop, portrait)
        await self._work(self._ledger.forget, portrait)

    def _end_sessions(self, portraits: Collection[str]) -> None:
        for session in self._sessions.all():
            if session.portrait in portraits:
                session.close("client")

    async def begin(self) -> None:
        """Takes in what earlier servers left, and deletes what they should have.

        What another one that runs in the same folder took in is left alone.
        """
        if self._elsewhere is not None:
            await self._join()
            return
        if not await self._work(self._occupancy.enter):
            await self._work(self._adopt)
            return
        await self._work(self._adopt)
        await self._work(self._tidy)
        await self._clear(leftovers=True)
        await self._work(self._occupancy.share)

    async def _join(self) -> None:
        """Takes in what there is, and deletes here what others have deleted meanwhile."""
        self._portraits.ask = self.look
        await self._work(self._adopt)
        for portrait in self._warden.told():
            self._overdue.touch(portrait, self._clock.now())
        await self._work(self._portraits.clear_strays)
        await self._work(self._prune)

    def end(self) -> None:
        """Lets the next server clear away what is left."""
        self._occupancy.leave()

    async def run(self) -> None:
        """Deletes what has to go, every ten seconds."""
        while True:
            await self._clock.sleep_until(self._clock.now() + _INTERVAL)
            try:
                await self._clear()
            except Exception:  # noqa: BLE001 - the next look may do better
                _LOG.exception("pictures that have to go cannot be deleted")

    async def _clear(self, *, leftovers: bool = False) -> None:
        """Deletes what has to go now; with `leftovers` also what nobody here took in."""
        sessions, others = self._sessions.all(), Shown(frozenset(), frozenset())
        if self._elsewhere is not None:
            await self.look()
            others = await self._elsewhere()
        shown = {session.portrait for session in sessions} | self._sessions.expected()
        overdue = self._overdue.find(
            self._warden.told(),
            shown=shown | others.names,
            sessions={session.id for session in sessions} | others.sessions,
            now=self._clock.now(),
            today=utc_now(),
            leftovers=leftovers,
        )
        if not others.is_ours:
            return
        overdue |= dict.fromkeys(await self._work(self._portraits.vanished), _BY_HAND)
        for portrait, reason in overdue.items():
            with contextlib.suppress(ProtocolError):  # somebody has deleted it just now
                digest = self._warden.records[portrait].portrait_sha256
                await self._portraits.remove(portrait, reason)
                self._audit.tell(
                    "portrait.expired", portrait=portrait, portrait_sha256=digest, reason=reason
                )
                await self._work(self._ledger.forget, portrait)
        wait = self._options.retention.wait
        names = {session.background.name for session in sessions} | others.names
        await self._work(partial(self._backgrounds.forget, shown=names, seconds=wait))
        await self._work(self._forget_records)

    def _adopt(self) -> None:
        for entry in self._portraits.uploads:
            there = entry.path.stat().st_mtime if entry.path.is_file() else utc_now().timestamp()
            self._warden.adopt(entry.id, there)

    def _tidy(self) -> None:
        self._backgrounds.forget(shown=(), seconds=0.0)
        self._prune()
        self._portraits.clear_strays()
        for portrait in set(self._warden.told()) - {entry.id for entry in self._portraits.uploads}:
            self._warden.retire(portrait, _BY_HAND)

    def _forget_records(self) -> None:
        self._warden.forget_former()
        if self._options.ledger_days:
            self._ledger.forget_old(self._options.ledger_days)

    async def _delete_film(self, film: str) -> None:
        session = self._sessions.get(session_of(film) or "")
        recording = None if session is None else session.outputs.recording(film)
        if recording is not None:
            recording.stop("request")
            await recording.ended.wait()
        with contextlib.suppress(ProtocolError):  # it was deleted by itself
            found = await self._work(self._library.stored, film)
            await self._work(self._library.delete, found)
            self._audit.tell("recording.deleted", recording=film)

    async def _work(self, job: Callable[..., Any], *given: object) -> Any:  # noqa: ANN401
        return await asyncio.get_running_loop().run_in_executor(self.worker, job, *given)
