"""One live session: what clients ask for, done to the line; what happens there, told to them.

One TaskGroup per session, and the one broad `except` of the server at its edge: whatever goes
wrong ends this session and no other.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any, Literal, Self

from server import protocol
from server.access.presence import Presences
from server.access.principal import ALL, Scope
from server.audience import Audience
from server.audit import AuditLog
from server.backgrounds import Backgrounds
from server.clock import Clock
from server.codec_contexts import Opener
from server.converse.live_text import LiveText
from server.converse.talk import Manner, Talk
from server.converse.wiring import Converse
from server.direction import Direction, describe_style, with_changes
from server.encoder import OPENERS, VideoCodec
from server.events import EventHub
from server.half_open import HalfOpen
from server.hearing import Hearing, barge_in_samples, cut
from server.ice_servers import IceServer
from server.inference import AvatarPort
from server.ingest import Ingest
from server.lifetime import LifeLimits, Lifetime
from server.line import Engines, LiveLine
from server.marks.marker import MarkedAvatar, Marker, payload_of
from server.marks.options import MarkOptions
from server.marks.payload import tag_of
from server.microphone import Mode
from server.microphone_track import MicrophoneFrame
from server.outputs.options import OutputOptions
from server.outputs.outputs import Outputs
from server.pacing import MILLISECOND
from server.portraits import Portraits
from server.presenter.bookmark import Said
from server.presenter.presenter import Presenter, Workers
from server.principal import LOCAL, Principal, on_behalf_of
from server.protocol import BargeIn, CloseReason, Layout, ProtocolError, ServerEvent, Style
from server.pushed_audio import PushedAudio
from server.sender_reports import NtpClock
from server.session_audit import SessionAudit
from server.speaker import Speaker, SpeakRequest
from server.turns import Heard, Turns
from server.unheard import Asked, Rest, Unheard, sentence_at
from server.viewers import Viewers
from server.voices import Voices
from streaming_model.backdrop import Backdrop
from streaming_model.media import SAMPLES_PER_MOTION_FRAME
from streaming_model.motion.style import MotionStyle

_LOG = logging.getLogger(__name__)
_SECOND = 1_000_000_000  # ns
EndReason = CloseReason | Literal["moved"]  # which is told nobody: clients come back to it


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """What all sessions of a server have in common."""

    fps: int
    size: int
    bitrate: int
    codecs: tuple[VideoCodec, ...]
    ice_servers: tuple[IceServer, ...]
    chunk_frames: int
    lookahead_frames: int
    openers: Mapping[VideoCodec, Opener] = field(default_factory=lambda: OPENERS)
    style: MotionStyle = field(default_factory=MotionStyle)
    limits: LifeLimits = field(default_factory=LifeLimits)
    barge_in: BargeIn = "on"
    outputs: OutputOptions = field(default_factory=OutputOptions)
    marks: MarkOptions = field(default_factory=MarkOptions)
    audit: AuditLog = field(default_factory=AuditLog)
    presences: Presences = field(default_factory=Presences)
    half_open: HalfOpen = field(default_factory=HalfOpen)
    connect_time: float = 20.0  # seconds for ICE and DTLS
    most_viewers: int = 100


async def _at_once() -> None:
    """Nothing keeps a session beyond its process."""


class Session:
    """A portrait, its viewers and its voice.

    Attributes:
        id: its public name.
        owner: who opened it.
        portrait: id of the portrait.
        voice: name of the voice.
        events: everything it has to say.
        outputs: what is recorded and pushed.
        viewers: who watches over WebRTC.
        audit: takes notes of what is done here.
        unheard: what it is to say still.
        resumed: where it goes on.
        is_resumed: whether it began elsewhere.
        settled: returns when what it is now outlives this process, where something keeps it.
        reason: why it has ended, once it has.
    """

    resumed = protocol.SessionResumed(None, 0, 0)
    is_resumed = False
    settled: Callable[[], Awaitable[None]] = staticmethod(_at_once)

    def __init__(
        self,
        *,
        session_id: str,
        portrait: str,
        avatar: AvatarPort,
        voice: str,
        seed: int,
        style: MotionStyle | None = None,
        options: SessionOptions,
        engines: Engines,
        portraits: Portraits,
        backgrounds: Backgrounds,
        voices: Voices,
        talk: Talk | None = None,
        manner: Manner | None = None,
        owner: Principal = LOCAL,
    ) -> None:
        self.id = session_id
        self.owner = owner
        self.portrait = portrait
        self.voice = voice
        self.events = EventHub()
        self.audit = SessionAudit(options.audit)
        self._options = options
        self._portraits = portraits
        self._backgrounds = backgrounds
        self._changing = asyncio.Lock()
        self._voices = voices
        self._clock = engines.clock
        self._lifetime = Lifetime(options.limits, self._clock.now())
        self._ntp = NtpClock(self._clock)
        # Callbacks know what they need of the session and not the session itself, so that a closed
        # one is gone at once and waits for no collection of garbage.
        self._turns = turns = Turns()
        publish = self.events.publish
        self._audience = Audience(
            size=options.size,
            fps=options.fps,
            bitrate=options.bitrate,
            picture_worker=engines.picture_worker,
            sound_worker=engines.sound_worker,
            openers=options.openers,
        )
        self.seed = seed
        self._gestures = 0
        self.direction = Direction(style or options.style)
        self._marker = Marker(options.marks, payload_of(session_id))
        self.line = LiveLine(
            avatar=MarkedAvatar(avatar, self._marker),
            seed=seed,
            direction=self.direction,
            chunk_frames=options.chunk_frames,
            lookahead_frames=options.lookahead_frames,
            engines=engines,
            audience=self._audience,
            on_audible=lambda marks, at: publish(turns.audible(marks, at)),
        )
        self._speaker = Speaker(
            queue=self.line.queue,
            open_voice=voices.open,
            publish=publish,
            worker_for=voices.worker_for,
            clock=self._clock,
        )
        self.presenter = Presenter(
            voice=voice,
            line=self.line,
            turns=turns,
            speaker=self._speaker,
            direction=self.direction,
            voices=voices,
            publish=publish,
            workers=Workers(voices.urgent_worker, voices.worker, portraits.worker),
            clock=self._clock,
            seed=seed,
            audit=self.audit,
        )
        self.events.tap(self.presenter.reader.heed)
        self.events.tap(self.audit.heed)
        self.unheard = Unheard()
        self.events.tap(self.unheard.heed)
        self._pcm_worker = engines.sound_worker
        self._hearing = Hearing(
            line=self.line,
            turns=turns,
            publish=publish,
            clock=self._clock,
            barge_in=barge_in_samples(options.barge_in),
        )
        itself: Self = weakref.proxy(self)  # or they would keep each other
        self.converse = Converse(
            stage=itself,
            talk=talk or Talk(),
            manner=manner or Manner(),
            direction=self.direction,
            microphone=self.line.microphone,
            make=lambda gesture: itself.gesture(gesture),
            events=self.events,
            clock=self._clock,
            seed=seed,
        )
        self._group = asyncio.TaskGroup()
        self._running = asyncio.Event()
        self.outputs = Outputs(
            session_id=session_id,
            audience=self._audience,
            options=options,
            clock=self._clock,
            publish=publish,
            spawn=self._group.create_task,
            instant_of=self.line.report_instant,
            ntp=self._ntp,
            motion=self.line.motion,
        )
        self._closing = asyncio.Event()
        self.reason: EndReason = "client"
        self.viewers = Viewers(
            itself,
            options=options,
            line=self.line,
            audience=self._audience,
            hearing=self._hearing,
            ntp=self._ntp,
            clock=self._clock,
            group=self._group,
            closing=self._closing,
        )
        self.metrics = protocol.Metrics()

    @property
    def clock(self) -> Clock:
        """What it goes by."""
        return self._clock

    @property
    def is_watched(self) -> bool:
        """Whether pictures are made for somebody."""
        return len(self._audience) > 0

    @property
    def is_reduced(self) -> bool:
        """Whether it makes fewer pictures, because the machine is overloaded."""
        return self.line.frame_rate.is_reduced

    @property
    def is_closing(self) -> bool:
        """Whether it has ended or is about to."""
        return self._closing.is_set()

    async def run(self) -> None:
        """Lives until `close`, or until something fails."""
        key = Principal(self.owner.name, key_id=self.owner.key_id)  # a logout ends no session
        revoked = partial(self.close, "revoked")
        with on_behalf_of(self.owner, self.id), self._options.presences.of(key, revoked):
            await self._live()

    async def _live(self) -> None:
        began = self._clock.now()
        try:
            async with self._group:
                tasks = [
                    self._group.create_task(self.line.run(), name="line"),
                    self._group.create_task(self._speaker.run(), name="speaker"),
                    self._group.create_task(self.presenter.reader.run(), name="reader"),
                    self._group.create_task(self.converse.run(), name="converse"),
                    self._group.create_task(self._measure(), name="metrics"),
                ]
                self._running.set()
                self.outputs.begin()
                await self._closing.wait()
                self.outputs.end()
                for task in tasks:
                    task.cancel()
        except Exception:  # noqa: BLE001 - the session's edge: whatever failed ends it alone
            _LOG.exception("session %s failed", self.id)
            self.reason = "failed"
            self._closing.set()
        finally:
            if self.reason != "moved":
                self._publish([protocol.SessionClosed(self.reason)])
            self.events.close()
            self.audit.closed(self.reason, (self._clock.now() - began) / _SECOND)

    async def accompany(self, work: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
        """Runs something for as long as the session lives, which waits for its end.

        It is given an event that is set when the session begins to end. What it raises ends the
        session.

        Raises:
            ProtocolError: `not_found`, the session has ended.
        """
        await self._running.wait()
        if self.is_closing:
            raise ProtocolError("not_found", "The session has ended.")
        self._group.create_task(work(self._closing), name="company")

    def close(self, reason: EndReason) -> None:
        """Ends the session; listeners hear why."""
        if not self._closing.is_set():
            self.reason = reason
            self._closing.set()

    @property
    def background(self) -> Backdrop:
        """What is behind the person."""
        return self.line.animator.avatar.backdrop

    @property
    def layout(self) -> Layout:
        """How the video carries the picture."""
        return "packed" if self.background.is_transparent else "plain"

    def stand_by(self) -> None:
        """Waits for those to come back who lost their connection to it, as it began elsewhere."""
        self.is_resumed = True
        self._lifetime.lose(self._clock.now())

    def touch(self) -> None:
        """Notes that somebody uses the session."""
        self._lifetime.touch(self._clock.now())

    def expire(self, seconds: float) -> None:
        """Tells clients that the session ends in so many seconds, because the server does."""
        now = self._clock.now()
        self._lifetime.expire(now, seconds)
        self._publish(self._lifetime.notice(now))

    def look_at_time(self) -> None:
        """Warns, and ends the session, when it has lived long enough; called every second."""
        events, reason = self._lifetime.look(
            self._clock.now(),
            is_connected=bool(self.viewers.peers)
            or len(self.events) > 0
            or len(self.outputs) > 0
            or len(self.line.motion) > 0,
            is_busy=not self.line.queue.is_empty
            or self.line.timeline.holds_speech
            or self.line.microphone.is_speech,
        )
        self._publish(events)
        if reason is not None:
            self.close(reason)

    def greeting(self) -> list[ServerEvent]:
        """Returns the first messages for a new connection: what the session is, and does now."""
        state = protocol.StateUpdated(self._turns.state, self.line.timeline.position)
        script = self.presenter.reader.news()
        return [
            self.ready(),
            self.disclosure(),
            *([self.resumed] if self.is_resumed else []),
            *([state] if state.state != "idle" else []),
            *([script] if script.state != "empty" else []),
            *self._lifetime.notice(self._clock.now()),
        ]

    def ready(self) -> protocol.SessionReady:
        """Returns what the session is."""
        return protocol.SessionReady(
            session_id=self.id,
            fps=self._options.fps,
            size=self._options.size,
            portrait=self.portrait,
            voice=self.voice,
            background=self.background.name,
            layout=self.layout,
            style=describe_style(self.direction.style),
        )

    def disclosure(self) -> protocol.AiDisclosure:
        """Returns what tells that it is AI-generated."""
        marks = self._options.marks
        return protocol.AiDisclosure(
            media=("audio", "video"),
            badge=marks.text if marks.no_badge is None else None,
            watermark=tag_of(self.id) if marks.no_watermark is None else None,
        )

    def describe(self) -> dict[str, Any]:
        """Returns what `GET /v1/sessions/{id}` tells."""
        return {
            "session_id": self.id,
            "state": self._turns.state,
            "portrait": self.portrait,
            "voice": self.voice,
            "background": self.background.name,
            "layout": self.layout,
            "style": describe_style(self.direction.style),
            "utterance": self._turns.utterance,
            "media_time": self.line.timeline.position,
            "viewers": self._audience.viewers,
            "brain": self.converse.conversation.manner.brain,
            "metrics": asdict(self.metrics),
        }

    def speak(self, text: str, voice: str | None = None, style: Style | None = None) -> int:
        """Queues text; returns its utterance. A style is this utterance's alone.

        Raises:
            ProtocolError: the text is empty or too long, there is no such voice, the style is
                impossible, or too much waits already.
        """
        protocol.check_text(text)
        name = self.voice if voice is None else self._voices.check(voice)
        self.audit.text("text", text, voice=name, utterance=self._turns.utterance + 1)
        number = self._open_utterance(style)
        self._speaker.request(SpeakRequest(number, text, name))
        self.unheard.add(Asked(number, text, name, self.direction.own(number)))
        return number

    def open_text(self, voice: str | None = None, style: Style | None = None) -> LiveText:
        """Begins an utterance whose text is still being written. A style is this one's alone.

        Raises:
            ProtocolError: there is no such voice, the style is impossible, or too much waits.
        """
        name = self.voice if voice is None else self._voices.check(voice)
        self.audit.note("text.begun", voice=name, utterance=self._turns.utterance + 1)
        number = self._open_utterance(style)
        own = self.direction.style if style is None else with_changes(self.direction.style, style)
        text = LiveText(number, style=own, direction=self.direction, clock=self._clock)
        self.audit.follow(text)
        self._speaker.request(SpeakRequest(number, text, name))
        self.unheard.add(Asked(number, text, name, self.direction.own(number)))
        return text

    def speak_on(self, asked: Asked) -> None:
        """Takes up what another worker was to say, at the sentence that broke off there.

        It keeps its number, and waits for a viewer. Sound that was pushed is lost.
        """
        if asked.text is None:
            self.resumed = replace(self.resumed, lost=(*self.resumed.lost, asked.number))
            return
        text = asked.text if isinstance(asked.text, str) else asked.text.text
        start = sentence_at(text, asked.heard)
        self._turns.go_on(asked.number - 1)
        number = self._turns.open()
        self.line.queue.open(number)
        if asked.style is not None:
            self.direction.give(number, asked.style)
        self._speaker.request(SpeakRequest(number, Rest(asked.text, start), asked.voice))
        self.unheard.add(asked)
        if self.resumed.utterance is None and start < len(text):
            repeated = max(0, asked.heard - start)
            self.resumed = replace(
                self.resumed,
                utterance=number,
                from_character=start,
                repeated_characters=repeated,
            )

    def read_on(self, said: Said) -> None:
        """Takes up a sentence of the script that another worker was to say, from its beginning.

        It keeps its utterance's number, and waits for a viewer; the script is there already.
        """
        self._turns.go_on(said.number - 1)
        number = self._turns.open()
        self.line.queue.open(number)
        if not self.presenter.reader.say_again(said):
            self.line.queue.complete(number)  # it had been heard
        elif self.resumed.utterance is None:
            self.resumed = replace(
                self.resumed,
                utterance=number,
                repeated_characters=said.heard,
                sentence=said.sentence,
            )

    def grow_text(self, text: LiveText, delta: str | None) -> None:
        """Adds to a text that is being written; None completes it.

        Raises:
            ProtocolError: `text_too_long`, beyond what may be said at once; the rest is not said.
        """
        self.touch()
        grown = text.finish() if delta is None else text.add(delta)
        is_cut = text.is_full and not text.is_finished
        grown += text.finish() if is_cut else ""
        if text.is_finished:
            self.audit.finished(text.number)
        if grown:
            self._publish([protocol.ReplyDelta(text.number, grown)])
        if is_cut:
            raise ProtocolError(
                "text_too_long", f"Only the first {protocol.MAX_TEXT:,} characters are spoken."
            )

    def _open_utterance(self, style: Style | None) -> int:
        own = None if style is None else with_changes(self.direction.style, style)
        self.touch()
        self.line.begin()
        number = self._turns.open()
        self.line.queue.open(number)
        if own is not None:
            self.direction.give(number, own)
        return number

    def interrupt(self) -> int:
        """Stops what is said and drops what waits; returns the utterance number from here on."""
        self.touch()
        self.line.microphone.interrupt()
        self.converse.conversation.stop()
        self.cut()
        return self._turns.utterance

    def cut(self) -> None:
        """Stops what is said and drops what waits."""
        self._publish(cut(self.line, self._turns))

    def hush(self) -> None:
        """Says no more, and tells nobody: it is said on elsewhere."""
        self.presenter.reader.state = "paused"
        cut(self.line, self._turns)

    @property
    def may_interrupt(self) -> bool:
        """Whether a viewer's voice may cut off what is being said."""
        return self._hearing.barge_in is not None

    @property
    def barge_in(self) -> int | None:
        """How much voice interrupts the portrait, in samples; None where none does."""
        return self._hearing.barge_in

    @barge_in.setter
    def barge_in(self, samples: int | None) -> None:
        self._hearing.barge_in = samples

    @property
    def turns(self) -> Turns:
        """Whose turn it is."""
        return self._turns

    @property
    def portrait_name(self) -> str:
        """The portrait's name, for people."""
        return self._portraits.name(self.portrait)

    def think(self, *, is_thinking: bool) -> None:
        """Shows whether the portrait thinks about its answer."""
        self.touch()
        self._publish(self._turns.think(self.line.timeline.position, is_thinking=is_thinking))

    async def update(
        self,
        *,
        portrait: str | None = None,
        voice: str | None = None,
        background: str | None = None,
        style: Style | None = None,
    ) -> None:
        """Changes the portrait, the voice, the background or the style while running.

        Raises:
            ProtocolError: `not_found`, `unknown_voice` or an impossible style; then nothing
                changes.
            BackdropError: there is no such background; then nothing changes.
            PortraitError: the picture cannot be used.
        """
        self.touch()
        async with self._changing:
            name = self.voice if voice is None else self._voices.check(voice)
            if style is not None:
                with_changes(self.direction.style, style)  # refused before anything changes
            if portrait is not None or background is not None:
                await self._change_avatar(portrait, background)
            if style is not None:
                self.direction.change(style)
            self.voice = self.presenter.narrator.voice = name
            self._publish([self.ready()])

    async def _change_avatar(self, portrait: str | None, background: str | None) -> None:
        backdrop = self.background
        if background is not None:
            backdrop = await self._backgrounds.find(background)
        if portrait is None:  # it may have been deleted meanwhile
            avatar: AvatarPort = await self._portraits.before(self.line.animator.avatar, backdrop)
        else:
            drawn = await self._portraits.avatar(portrait, backdrop)
            digest = await self._portraits.digest(portrait)
            self.audit.note("portrait.shown", portrait=portrait, portrait_sha256=digest)
            films = [recording.id for recording in self.outputs.recordings]
            await self._portraits.note_films(portrait, films)
            avatar = MarkedAvatar(drawn, self._marker.anew())
            self.portrait = portrait
        self.line.animator.change_avatar(avatar)

    def gesture(self, gesture: protocol.Gesture) -> int:
        """Makes a gesture as soon as it can be seen; returns the media time of its beginning.

        Raises:
            ProtocolError: `bad_request`, there is none of that name or a number is impossible;
                `capacity`, twenty are under way.
        """
        self.touch()
        self.line.begin()
        self._gestures += 1
        at = self._earliest_motion()
        self.direction.gesture(
            gesture.name,
            at=at,
            strength=gesture.strength,
            duration=gesture.duration,
            mode=gesture.mode,
            seed=self.seed + self._gestures,
        )
        return at

    def follow(self, motion: protocol.Motion) -> None:
        """Adds one frame of live motion, from a webcam for example.

        Raises:
            ProtocolError: `bad_request`, a name is unknown or a number impossible.
        """
        self.touch()
        self.direction.follow(
            motion.coefficients,
            at=self._earliest_motion(),
            weight=motion.weight,
            mode=motion.mode,
            t=motion.t,
        )

    def _earliest_motion(self) -> int:
        """Returns the media time of the first motion that is certainly not made yet."""
        ahead = self._options.lookahead_frames * SAMPLES_PER_MOTION_FRAME
        return max(0, self.line.animator.next - ahead)

    def switch_microphone(self, mode: Mode, barge_in: BargeIn | None = None) -> None:
        """Chooses what the viewers' audio is for, and when it interrupts the portrait."""
        self.touch()
        self.audit.note("microphone", mode=mode)
        if barge_in is not None:
            self._hearing.barge_in = barge_in_samples(barge_in)
        if self.line.microphone.switch(mode):
            self._publish(self._turns.heard(Heard.STOPPED, self.line.timeline.position))

    def hear(self, speaker: object, frame: MicrophoneFrame) -> None:
        """Hears 20 ms from a microphone that comes by another way than WebRTC."""
        self.touch()
        self._hearing.take(speaker, frame)

    def open_audio(
        self, *, sample_rate: int, channels: int, style: Style | None = None
    ) -> PushedAudio:
        """Begins an utterance whose PCM the client sends. A style is this utterance's alone.

        Raises:
            AudioError: the rate or the channels are out of range.
            ProtocolError: the style is impossible.
        """
        ingest = Ingest(sample_rate=sample_rate, channels=channels)
        self.audit.note("audio", sample_rate=sample_rate, utterance=self._turns.utterance + 1)
        number = self._open_utterance(style)
        self.unheard.add(Asked(number, None))
        return PushedAudio(
            number,
            ingest=ingest,
            queue=self.line.queue,
            worker=self._pcm_worker,
            clock=self._clock,
            on_end=partial(self.audit.audio, number),
        )

    async def add_viewer(
        self, offer: str, *, is_owner: bool = False, scopes: frozenset[Scope] = ALL
    ) -> str:
        """Connects a viewer; returns the SDP answer.

        Raises:
            ProtocolError: `invalid_sdp`; `not_found`, the session ends just now.
        """
        self.touch()
        viewer = await self.viewers.add(offer, is_owner=is_owner, scopes=scopes)
        return viewer.answer

    async def _measure(self) -> None:
        """Publishes figures once a second."""
        pictures, size = 0, 0
        rate = self.line.frame_rate.pictures_per_second
        while True:
            await self._clock.sleep_until(self._clock.now() + _SECOND)
            audience, line = self._audience, self.line
            self.metrics = protocol.Metrics(
                fps=float(audience.pictures_sent - pictures),
                render_ms=round(line.animator.draw_cost / MILLISECOND, 1),
                latency_ms=round(line.latency / MILLISECOND, 1),
                late_frames=line.late_frames,
                bitrate_kbps=round((audience.bytes_sent - size) * 8 / 1000, 1),
            )
            pictures, size = audience.pictures_sent, audience.bytes_sent
            self._publish([self.metrics])
            if line.frame_rate.pictures_per_second != rate:
                rate = line.frame_rate.pictures_per_second
                self._publish([protocol.RateUpdated(rate, line.timeline.position)])

    def _publish(self, events: Sequence[ServerEvent]) -> None:
        self.events.publish(events)
