"""Opening a session as a client wants it, whatever the client speaks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from server.direction import with_changes
from server.principal import acting, on_behalf_of
from server.protocol import Style
from server.session import Session
from server.waiting import Waiting
from streaming_model.backdrop import Backdrop

if TYPE_CHECKING:
    from server.api import House


class SessionRequest(BaseModel):
    """What a new session should be."""

    model_config = ConfigDict(extra="forbid")
    portrait: str | None = None
    voice: str | None = None
    background: str | None = None
    style: Style | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    mode: Literal["present", "converse"] = "present"


async def open_for(
    house: House, wanted: SessionRequest, *, may_wait: bool = True
) -> tuple[Session | Waiting, Backdrop]:
    """Returns the session, or its place in the line, and the background it will have.

    Raises:
        QuotaError: whoever acts now has as many as they may have.
        CapacityError: there is no place, nor one in the line or the client cannot wait.
        VivantError: there is no such portrait, voice, background or style.
    """
    voice = house.voices.check(wanted.voice)
    portrait = house.portraits.check(wanted.portrait)
    backdrop = await house.backgrounds.find(wanted.background)
    style = house.options.style
    if wanted.style is not None:
        style = with_changes(style, wanted.style)
    owner = acting()  # the client may have gone when its turn comes
    manner = house.talk.manner("off" if wanted.mode == "present" else None)

    async def make(session_id: str) -> Session:
        with on_behalf_of(owner, session_id):  # whoever's end has made room
            digest = await house.portraits.digest(portrait.id)
            house.options.audit.note(
                "session.opened", portrait=portrait.id, portrait_sha256=digest, mode=wanted.mode
            )
            avatar = await house.portraits.avatar(portrait.id, backdrop)
        return house.make_session(
            session_id=session_id,
            portrait=portrait.id,
            avatar=avatar,
            voice=voice,
            seed=wanted.seed,
            style=style,
            manner=manner,
            owner=owner,
        )

    claim = house.access.quotas.claim(owner)
    entered = await house.sessions.enter(make, may_wait=may_wait, claim=claim)
    if isinstance(entered, Waiting):
        entered.portrait = portrait.id
    return entered, backdrop
