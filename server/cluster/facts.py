"""What of a session outlives its worker: read from a session, and made into one again.

A record is a few kilobytes of JSON; fields that are added later have defaults, so that workers of
two versions can take up each other's sessions.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Final, Self

from pydantic import BaseModel, ConfigDict

from server.access.principal import Holder
from server.converse.history import Entry
from server.converse.live_text import LiveText
from server.converse.talk import Manner
from server.live_motion import LiveSettings
from server.microphone import Mode
from server.outputs.library import Library
from server.outputs.wishes import FilmWish, PushWish
from server.presenter.bookmark import Bookmark, Said
from server.principal import Principal
from server.protocol import ProtocolError
from server.session import Session
from server.unheard import Asked
from streaming_model.motion.style import MotionStyle

_LOG: Final = logging.getLogger(__name__)


class Utterance(BaseModel):
    """What is to be said still.

    Attributes:
        number: its own.
        text: all of it, as it was written; None for sound that was pushed.
        is_live: whether it has marks and Markdown in it, as a language model writes them.
        voice: name of the voice.
        style: its own; None for the session's.
        heard: characters of what is said of it that have left.
    """

    model_config = ConfigDict(frozen=True)
    number: int
    text: str | None
    is_live: bool = False
    voice: str = ""
    style: MotionStyle | None = None
    heard: int = 0


class SessionFacts(BaseModel):
    """One session.

    Attributes:
        owner: who opened it, with what it may see.
        utterance: the highest number given out.
        barge_in: samples of voice that interrupt; None for never.
        live: how live motion is mixed in.
        script: what is read, and where.
        pushes: streams that go elsewhere, with their secrets.
        films: recordings that go on.
    """

    model_config = ConfigDict(frozen=True)
    owner: Holder
    portrait: str
    background: str
    voice: str
    style: MotionStyle
    seed: int
    manner: Manner
    barge_in: int | None
    microphone: Mode
    turn: int
    history: list[Entry]
    utterance: int
    unheard: list[Utterance]
    live: LiveSettings = LiveSettings()
    script: Bookmark | None = None
    pushes: list[PushWish] = []
    films: list[FilmWish] = []

    @classmethod
    def of(cls, session: Session) -> Self:
        """Returns what a session is now."""
        conversation = session.converse.conversation
        return cls(
            owner=_holder(session.owner),
            portrait=session.portrait,
            background=session.background.name,
            voice=session.voice,
            style=session.direction.style,
            seed=session.seed,
            manner=conversation.manner,
            barge_in=session.barge_in,
            microphone=session.line.microphone.mode,
            turn=conversation.history.turn,
            history=list(conversation.history.entries),
            utterance=session.turns.utterance,
            unheard=[_utterance(session, asked) for asked in session.unheard],
            live=session.direction.live.settings,
            script=session.presenter.reader.bookmark(),
            pushes=session.outputs.pushes,
            films=session.outputs.films,
        )


async def revive(session: Session, facts: SessionFacts, library: Library) -> None:
    """Makes a new session, which has the facts' portrait, voice and style, go on as they tell.

    It stands still until somebody watches, or asks for more; one that is recorded or pushed goes
    on at once.

    Raises:
        ScriptError: its script cannot be read here.
    """
    session.stand_by()
    session.barge_in = facts.barge_in
    session.line.microphone.switch(facts.microphone)
    live = {each.number: _written(session, each) for each in facts.unheard if each.is_live}
    session.direction.live.take_up(facts.live)
    script = facts.script
    if script is not None:
        await session.presenter.go_on(script)
    waiting: list[Utterance | Said] = [*facts.unheard, *(script.said if script else ())]
    for each in sorted(waiting, key=lambda each: each.number):
        if isinstance(each, Utterance):
            text = live.get(each.number, each.text)
            session.speak_on(Asked(each.number, text, each.voice, each.style, each.heard))
        elif script is None or script.is_recorded:
            session.resumed = replace(session.resumed, lost=(*session.resumed.lost, each.number))
        else:
            session.read_on(each)
    _send_on(session, facts, library)
    session.turns.go_on(facts.utterance)
    conversation = session.converse.conversation
    conversation.revive(facts.manner, facts.turn, facts.history, live)


def _send_on(session: Session, facts: SessionFacts, library: Library) -> None:
    """Begins streams and recordings again; what cannot begin is missing in what is told."""
    outputs, begun, continued = session.outputs, list[str](), list[str]()
    for push in facts.pushes:
        try:
            outputs.push_on(push)
        except ProtocolError as error:
            _LOG.warning("output %s is not begun again: %s", push.id, error)
        else:
            begun.append(push.id)
    for film in facts.films:
        try:
            again = outputs.record(library, film.format, is_transparent=film.is_transparent)
        except ProtocolError as error:
            _LOG.warning("recording %s is not continued: %s", film.id, error)
        else:
            continued.append(again.id)
    session.resumed = replace(
        session.resumed,
        outputs=tuple(begun),
        recordings=tuple(each.id for each in facts.films),
        continued=tuple(continued),
    )
    if begun or continued:
        session.line.begin()


def _holder(owner: Principal) -> Holder:
    return owner if isinstance(owner, Holder) else Holder(owner.name, frozenset())


def _utterance(session: Session, asked: Asked) -> Utterance:
    is_audible = session.turns.speaking == asked.number
    said = (session.line.timeline.spoken.characters or 0) if is_audible else 0
    text = asked.text.spoken.raw if isinstance(asked.text, LiveText) else asked.text
    return Utterance(
        number=asked.number,
        text=text,
        is_live=isinstance(asked.text, LiveText),
        voice=asked.voice,
        style=asked.style,
        heard=max(asked.heard, said),
    )


def _written(session: Session, utterance: Utterance) -> LiveText:
    """Returns a text as it was written; who wrote it has gone, so it is complete."""
    text = LiveText(
        utterance.number,
        style=utterance.style or session.direction.style,
        direction=session.direction,
        clock=session.clock,
    )
    text.add(utterance.text or "")
    text.finish()
    return text
