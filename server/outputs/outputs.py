"""All outputs of one session: begun and ended on request, ended with the session.

It knows neither HTTP nor the session; what it needs of it are its audience and its tasks.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Coroutine, Iterator, Sequence
from functools import partial
from typing import Any, Protocol

from server.audience import Audience
from server.clock import Clock
from server.encoder import SoundCodec, VideoCodec
from server.ice_servers import IceServer
from server.motion_output import MotionOutput
from server.outputs.film import Film, MatteFilm, Mp4Film, WebmFilm
from server.outputs.library import Library
from server.outputs.live_link import LiveLinkOut
from server.outputs.options import OutputOptions
from server.outputs.output import Output
from server.outputs.push import Push
from server.outputs.reach import Reach
from server.outputs.recording import Recording
from server.outputs.seat import Seat
from server.outputs.targets import Target, read_target
from server.outputs.whip import Whip
from server.outputs.wishes import FilmFormat, FilmWish, PushWish
from server.protocol import ProtocolError, ServerEvent
from server.sender_reports import NtpClock
from server.watchers import RawListener, RawWatcher, Terms
from streaming_model.media import SAMPLE_RATE

SPACING = 2 * SAMPLE_RATE  # samples between complete pictures: streaming sites want two seconds


class StreamOptions(Protocol):
    """What is known of the session's pictures, and what outputs may take."""

    @property
    def size(self) -> int:
        """Side of the pictures in pixels."""

    @property
    def fps(self) -> int:
        """Pictures a second."""

    @property
    def bitrate(self) -> int:
        """Bits a second of the viewers' pictures."""

    @property
    def ice_servers(self) -> Sequence[IceServer]:
        """STUN and TURN servers."""

    @property
    def outputs(self) -> OutputOptions:
        """Limits and places."""


class Carrier(RawWatcher, RawListener, Protocol):
    """Who carries a session elsewhere and encodes it there."""


Spawn = Callable[[Coroutine[Any, Any, None]], object]


class Outputs:
    """One session's."""

    def __init__(
        self,
        *,
        session_id: str,
        audience: Audience,
        options: StreamOptions,
        clock: Clock,
        publish: Callable[[Sequence[ServerEvent]], None],
        spawn: Spawn,
        instant_of: Callable[[int], int],
        ntp: NtpClock,
        motion: MotionOutput,
    ) -> None:
        """Takes what it needs.

        `spawn` runs a task for as long as the session lives at most; `instant_of` and `ntp` are for
        sender reports, as with viewers.
        """
        self._session_id = session_id
        self._audience = audience
        self._size, self._fps, self._bitrate = options.size, options.fps, options.bitrate
        self._ice_servers = options.ice_servers
        self._options = options.outputs
        self._clock = clock
        self._publish = lambda event: publish([event])
        self._spawn = spawn
        self._instant_of = instant_of
        self._ntp = ntp
        self._motion = motion
        self._recordings: dict[str, Recording] = {}
        self._outputs: dict[str, Output] = {}
        self._carriers = 0
        self._pushes: dict[str, PushWish] = {}
        self._films: dict[str, FilmWish] = {}
        self._held: list[Callable[[], Coroutine[Any, Any, None]]] | None = []  # until it runs

    @property
    def pushes(self) -> list[PushWish]:
        """What is pushed, as it was asked for; not what has failed for good."""
        return [
            wish for name, wish in self._pushes.items() if self._outputs[name].state != "failed"
        ]

    @property
    def films(self) -> list[FilmWish]:
        """What is recorded, as it was asked for."""
        return [wish for name, wish in self._films.items() if not self._recordings[name].reason]

    def begin(self) -> None:
        """Lets outputs run from now on: the session does."""
        held, self._held = self._held or [], None
        for work in held:
            self._spawn(work())

    def __len__(self) -> int:
        """How many are recorded, pushed or carried; a session that has some is not left alone."""
        return (
            len(self._recordings)
            + sum(output.state != "failed" for output in self._outputs.values())
            + self._carriers
        )

    def end(self) -> None:
        """Ends them all: their session ends."""
        for recording in self._recordings.values():
            recording.stop("session")
        for output in self._outputs.values():
            output.stop()

    def record(self, library: Library, film: FilmFormat, *, is_transparent: bool) -> Recording:
        """Begins a recording.

        Raises:
            ProtocolError: `recording_refused`, there is no room on the disk or it cannot be
                written; `capacity`, the session has as many outputs as it may.
        """
        self._check_room()
        make, terms, codec = _how(film, is_transparent=is_transparent)
        seat = Seat(codec, bitrate=self._bitrate, want_keyframe=self._audience.want_keyframe)
        if terms is None:
            terms = Terms(raw=seat)
        recording = Recording(
            library.new(self._session_id, make.suffix),
            make_film=partial(make, size=self._size, fps=self._fps),
            seal=lambda path: self._options.seal(path, self._session_id),
            keep=library.keep,
            seat=seat,
            options=self._options,
            publish=self._publish,
        )
        self._recordings[recording.id] = recording
        self._films[recording.id] = FilmWish(
            id=recording.id, format=film, is_transparent=is_transparent
        )
        self._start(partial(self._run_recording, recording, terms))
        return recording

    def push(
        self, url: str, *, bearer: str | None, bitrate: int | None, is_anywhere: bool = True
    ) -> Output:
        """Begins to push a stream; `bitrate` in bits a second, the viewers' if None.

        Without `is_anywhere` it goes to the public internet, and hosts of the settings, only.

        Raises:
            ProtocolError: `bad_request` or `forbidden`, for the address; `capacity`.
        """
        target = read_target(url, bearer=bearer, hosts=self._options.hosts)
        self._check_room()
        reach = Reach(self._options.hosts, is_anywhere=is_anywhere)
        output = self._make(target, bitrate, reach)
        self._add(
            output,
            PushWish(
                id=output.id, url=url, bearer=bearer, bitrate=bitrate, is_anywhere=is_anywhere
            ),
        )
        return output

    def push_on(self, wish: PushWish) -> None:
        """Begins a stream again that was pushed from elsewhere, under its id.

        Raises:
            ProtocolError: as `push`; the settings are others here, say.
        """
        target = read_target(wish.url, bearer=wish.bearer, hosts=self._options.hosts)
        self._check_room()
        output = self._make(
            target, wish.bitrate, Reach(self._options.hosts, is_anywhere=wish.is_anywhere)
        )
        output.id, output.is_again = wish.id, True
        self._add(output, wish)

    def _add(self, output: Output, wish: PushWish) -> None:
        self._outputs[output.id], self._pushes[output.id] = output, wish
        self._start(partial(self._run_output, output))

    def _start(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if self._held is None:
            self._spawn(work())
        else:
            self._held.append(work)

    def _make(self, target: Target, bitrate: int | None, reach: Reach) -> Output:
        if target.is_motion:
            return LiveLinkOut(
                target,
                reach=reach,
                motion=self._motion,
                clock=self._clock,
                publish=self._publish,
            )
        make = self._whip if target.is_whip else self._pushed
        return make(target, bitrate, reach)

    def _pushed(self, target: Target, bitrate: int | None, reach: Reach) -> Output:
        return Push(
            target,
            reach=reach,
            size=self._size,
            fps=self._fps,
            take_seat=partial(self._take_seat, bitrate),
            clock=self._clock,
            publish=self._publish,
        )

    def _whip(self, target: Target, bitrate: int | None, reach: Reach) -> Output:
        own = self._own(bitrate)
        return Whip(
            target,
            audience=self._audience,
            terms=Terms(is_flat=True, bitrate=own, spacing=SPACING),
            bitrate=own or self._bitrate,
            ice_servers=self._ice_servers,
            reach=reach,
            instant_of=self._instant_of,
            ntp=self._ntp,
            clock=self._clock,
            publish=self._publish,
        )

    def _own(self, bitrate: int | None) -> int | None:
        """Returns the rate of an encoding of its own, None where the viewers' will do."""
        return None if bitrate == self._bitrate else bitrate

    @contextlib.contextmanager
    def carried_by(self, carrier: Carrier) -> Iterator[None]:
        """Hands pictures as they are drawn and sound as it is heard to somebody, while entered."""
        seat = Seat(
            VideoCodec.VP8, bitrate=self._bitrate, want_keyframe=self._audience.want_keyframe
        )
        self._audience.add(seat, Terms(raw=carrier, raw_sound=carrier))
        self._carriers += 1
        try:
            yield
        finally:
            self._carriers -= 1
            self._audience.remove(seat)

    def recording(self, recording_id: str) -> Recording | None:
        """Returns a recording that goes on."""
        return self._recordings.get(recording_id)

    @property
    def recordings(self) -> list[Recording]:
        """Those that go on."""
        return list(self._recordings.values())

    @property
    def pushed(self) -> list[Output]:
        """Streams that are pushed, or failed to be."""
        return list(self._outputs.values())

    def stop(self, output_id: str) -> None:
        """Ends a stream.

        Raises:
            ProtocolError: `not_found`.
        """
        output = self._outputs.get(output_id)
        if output is None:
            raise ProtocolError("not_found", f"There is no output {output_id[:60]!r}.")
        output.stop()
        self._pushes.pop(output_id, None)
        if output.state == "failed":
            self._forget(output_id)

    def _check_room(self) -> None:
        most = self._options.most
        if len(self) >= most:
            raise ProtocolError(
                "too_many_outputs", f"The session has {len(self)} outputs, of at most {most}."
            )

    async def _run_recording(self, recording: Recording, terms: Terms) -> None:
        self._audience.add(recording.seat, terms)
        try:
            await recording.run()
        finally:
            self._audience.remove(recording.seat)
            del self._recordings[recording.id]
            del self._films[recording.id]

    async def _run_output(self, output: Output) -> None:
        try:
            await output.run()
        finally:
            if output.state != "failed":  # one that failed is told of until it is deleted
                self._forget(output.id)

    def _forget(self, output_id: str) -> None:
        self._outputs.pop(output_id, None)
        self._pushes.pop(output_id, None)

    @contextlib.contextmanager
    def _take_seat(self, bitrate: int | None) -> Iterator[Seat]:
        """Yields a seat for H.264 and AAC while somebody sends what it gets."""
        audience = self._audience
        own = self._own(bitrate)
        seat = Seat(
            VideoCodec.H264,
            bitrate=own or self._bitrate,
            want_keyframe=audience.want_keyframe,
        )
        audience.add(seat, Terms(SoundCodec.AAC, is_flat=True, bitrate=own, spacing=SPACING))
        try:
            yield seat
        finally:
            audience.remove(seat)


def _how(film: FilmFormat, *, is_transparent: bool) -> tuple[type[Film], Terms | None, VideoCodec]:
    """Returns how a film is made, on which terms, None for pictures as they are drawn."""
    if film == "mp4":
        return Mp4Film, Terms(SoundCodec.AAC, is_flat=True, spacing=SPACING), VideoCodec.H264
    if is_transparent:
        return MatteFilm, None, VideoCodec.VP9
    return WebmFilm, Terms(is_flat=True, spacing=SPACING), VideoCodec.VP8
