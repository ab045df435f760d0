"""What one client connection asks of a session, on a WebSocket or a data channel.

It turns each message into a call and each refusal into an `error` event, so that no message
can end a session. It knows no transport.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from server import protocol
from server.access.principal import ALL, Scope
from server.motion_output import MotionFeed
from server.protocol import Failed, ProtocolError, ServerEvent
from streaming_model.errors import VivantError

if TYPE_CHECKING:
    from server.converse.live_text import LiveText
    from server.presenter.presenter import ScriptMessage
    from server.pushed_audio import PushedAudio
    from server.session import Session
    from server.waiting import Waiting

_Talking = (
    protocol.SpeakStart
    | protocol.SpeakDelta
    | protocol.SpeakEnd
    | protocol.UserText
    | protocol.ToolResult
)

_WATCHING = protocol.Ping | protocol.MotionSubscribe


class WaitingDesk:
    """The desk of a client that waits for its place: only a `ping` is answered."""

    def __init__(self, waiting: Waiting) -> None:
        self._waiting = waiting

    async def take_text(self, text: str) -> list[ServerEvent]:
        """Answers one JSON message."""
        try:
            message = protocol.parse_message(text)
        except VivantError as error:
            return [Failed(error.code, str(error))]
        return [protocol.Pong(message.t)] if isinstance(message, protocol.Ping) else [self._no()]

    async def take_pcm(self, pcm: bytes) -> list[ServerEvent]:
        """Answers one binary message."""
        del pcm
        return [self._no()]

    def leave(self) -> None:
        """Nothing was left open."""

    def _no(self) -> Failed:
        position = self._waiting.position
        return Failed("queued", f"The session waits for its place: it is number {position}.")


class Desk:
    """One connection's side of a session; only a WebSocket carries PCM.

    Attributes:
        motion: the motion that it asked for.
    """

    def __init__(
        self, session: Session, *, takes_pcm: bool, scopes: frozenset[Scope] = ALL
    ) -> None:
        """Takes the session, and what the client may do with it."""
        self._session = session
        self._scopes = scopes
        self.motion = MotionFeed(session.line.motion)
        self._takes_pcm = takes_pcm
        self._audio: PushedAudio | None = None
        self._text: LiveText | None = None

    async def take_text(self, text: str) -> list[ServerEvent]:
        """Obeys one JSON message; returns what to answer on this connection."""
        try:
            message = protocol.parse_message(text)
            self._check(message)
            return await self._obey(message)
        except VivantError as error:
            return [Failed(error.code, str(error))]

    async def take_pcm(self, pcm: bytes) -> list[ServerEvent]:
        """Takes one binary message; returns what to answer."""
        try:
            if self._audio is None:  # nor is it ever there without the scope 'speak'
                raise ProtocolError("bad_request", "Binary audio came before 'audio.start'.")
            self._session.touch()
            await self._audio.push(pcm)
        except VivantError as error:
            return [Failed(error.code, str(error))]
        return []

    def leave(self) -> None:
        """Ends what the connection left open."""
        if self._audio is not None:
            self._audio.end()
            self._audio = None
        if self._text is not None:
            self._session.grow_text(self._text, None)
            self._text = None

    def _check(self, message: protocol.ClientMessage) -> None:
        """Accepts a message that the client may send.

        Raises:
            ProtocolError: `forbidden`.
        """
        needed = Scope.SPEAK
        if isinstance(message, _WATCHING):
            needed = Scope.WATCH
        elif isinstance(message, protocol.SessionUpdate):
            needed = Scope.CONTROL
        if needed not in self._scopes:
            raise ProtocolError("forbidden", f"'{message.type}' takes the scope '{needed}'.")

    async def _obey(self, message: protocol.ClientMessage) -> list[ServerEvent]:
        session = self._session
        match message:
            case protocol.Speak(text=text, voice=voice, style=style):
                session.speak(text, voice, style)
            case protocol.Interrupt():
                session.interrupt()
            case protocol.Microphone(mode=mode, barge_in=barge_in):
                session.switch_microphone(mode, barge_in)
            case protocol.AudioStart() | protocol.AudioEnd():
                self._switch_audio(message)
            case (
                protocol.SpeakStart()
                | protocol.SpeakDelta()
                | protocol.SpeakEnd()
                | protocol.UserText()
                | protocol.ToolResult()
            ):
                self._converse(message)
            case (
                protocol.Gesture()
                | protocol.Motion()
                | protocol.MotionConfigure()
                | protocol.MotionCalibrate()
                | protocol.MotionSubscribe()
            ):
                self._move(message)
            case (
                protocol.SessionUpdate()
                | protocol.ScriptUpdate()
                | protocol.ScriptPlay()
                | protocol.ScriptPause()
                | protocol.ScriptSeek()
            ):
                await self._change(message)
            case protocol.KeepAlive():
                session.touch()
            case protocol.Ping(t=t):
                return [protocol.Pong(t)]
        return []

    async def _change(self, message: protocol.SessionUpdate | ScriptMessage) -> None:
        if not isinstance(message, protocol.SessionUpdate):
            self._session.touch()
            await self._session.presenter.obey(message)
            return
        await self._session.update(
            portrait=message.portrait,
            voice=message.voice,
            background=message.background,
            style=message.style,
        )

    def _move(
        self,
        message: protocol.Gesture
        | protocol.Motion
        | protocol.MotionConfigure
        | protocol.MotionCalibrate
        | protocol.MotionSubscribe,
    ) -> None:
        live = self._session.direction.live
        match message:
            case protocol.Gesture():
                self._session.gesture(message)
            case protocol.Motion():
                self._session.follow(message)
            case protocol.MotionConfigure():
                live.configure(message)
            case protocol.MotionCalibrate(reset=reset):
                live.calibrate(reset=reset)
            case protocol.MotionSubscribe(active=active):
                self._session.touch()
                self._session.line.begin()
                self.motion.switch(is_wanted=active)

    def _converse(self, message: _Talking) -> None:
        conversation = self._session.converse.conversation
        match message:
            case protocol.UserText(text=text, source=source):
                self._session.touch()
                conversation.say(text, source)
            case protocol.ToolResult(call_id=call_id, content=content):
                conversation.take_result(call_id, content)
            case _:
                self._write(message)

    def _write(
        self, message: protocol.SpeakStart | protocol.SpeakDelta | protocol.SpeakEnd
    ) -> None:
        if isinstance(message, protocol.SpeakStart):
            self.leave()
            self._text = self._session.open_text(message.voice, message.style)
            self._session.converse.conversation.follow(self._text)
            return
        if self._text is None:
            raise ProtocolError("bad_request", f"'{message.type}' came before 'speak.start'.")
        if isinstance(message, protocol.SpeakEnd):
            self.leave()
        else:
            self._session.grow_text(self._text, message.text)

    def _switch_audio(self, message: protocol.AudioStart | protocol.AudioEnd) -> None:
        if isinstance(message, protocol.AudioEnd):
            if self._audio is None:
                raise ProtocolError("bad_request", "'audio.end' came before 'audio.start'.")
            self.leave()
            return
        if not self._takes_pcm:
            raise ProtocolError("bad_request", "PCM is taken on the WebSocket only.")
        self.leave()
        self._audio = self._session.open_audio(
            sample_rate=message.sample_rate, channels=message.channels, style=message.style
        )
