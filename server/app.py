"""Puts the server together and runs it: the only module that constructs concrete things.

`serve` returns when the process is asked to end. It knows every part and no part knows it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib.resources
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable, Collection
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import cv2
from fastapi import FastAPI
from starlette.types import ASGIApp

from server.access.certificate import Certificate, certificate_for
from server.access.hosts import LocalHosts, is_local_name
from server.access.making import is_for_this_machine, make_access, require_access
from server.api import House, make_app
from server.audit import AuditLog
from server.capacity import Capacity
from server.clock import Clock, MonotonicClock
from server.config import Settings, SettingsError
from server.connections.limits import ConnectionLimits
from server.connections.serving import HttpServer, allow_files
from server.connections.serving import http_server as serve_http
from server.consent.custody import Elsewhere
from server.consent.making import make_custody, make_warden
from server.consent.warden import Warden
from server.converse.making import close_talk, make_talk
from server.converse.talk import Manner
from server.cores import usable_cores
from server.device import avatar_on, device_of, motion_on
from server.encoder import OPENERS, VideoCodec, missing_encoder
from server.ending import Ending
from server.engine import DeviceInference
from server.gauge import Gauge, MeteredThread
from server.half_open import HalfOpen
from server.hardware import find_openers
from server.heap import Leftovers, give_back
from server.ice_servers import TurnSecret, make_ice_servers
from server.inference import AvatarPort, Inference
from server.lifetime import LifeLimits
from server.line import Engines
from server.logs import configure_logs
from server.marks.ledger import Entry, Ledger
from server.marks.marker import MarkedAvatar, Marker, payload_of
from server.marks.seal import MARKS_FOLDER, Sealer
from server.metrics import Figures
from server.origins import Origins
from server.portrait_pictures import (
    MakeAvatar,
    PortraitEntry,
    Preview,
    forget_nothing,
    preview_picture,
    prune_nothing,
)
from server.portraits import Portraits
from server.principal import LOCAL, Principal
from server.session import Session, SessionOptions
from server.sessions import Keeper, Sessions
from server.storage.making import Places
from server.udp_ports import confine
from server.uploads import UploadFolder
from server.voice.base import Voice
from server.voices import RemoteThreads, VoiceEntry, Voices
from streaming_model.motion.style import MotionStyle

_LOG = logging.getLogger(__name__)
BUILTIN_PORTRAIT = "mona_lisa"
_UNANSWERED = 30_000  # ms that sent bytes may go unacknowledged before a connection is dropped
_LAST_WORK = 0.3  # seconds for the worker threads to finish what they do
# Threads and by how much they are nicer than the process once it is ready: speech is made ahead
# of time and must not take the processor from pictures that are due now; fitting an uploaded
# picture even less so. Speech that somebody waits for is another matter.
_WORKERS = {
    "inference": 0, "pictures": 0, "sound": 0, "urgent speech": 2, "speech": 10, "portraits": 15,
}  # fmt: skip
_LIVE = ("inference", "pictures", "sound")  # threads that keep pace with the media clock
_VOICES = ("urgent speech", "speech")
_REMOTE_VOICES = 16  # threads that wait for speech servers; they compute nothing
SWITCH_INTERVAL = 0.001  # seconds a thread may keep Python; the default of 5 ms delays media


def first_come(worker: Executor, _: Clock) -> Inference:
    """Returns the engine for processors."""
    return Inference(worker)


@dataclass(frozen=True, slots=True)
class Parts:
    """The concrete model and voices; tests bring their own."""

    make_avatar: MakeAvatar
    voice_entries: tuple[VoiceEntry, ...]
    default_voice: str
    open_voice: Callable[[str], Voice]
    preview: Preview = preview_picture
    forget: Callable[[Path], None] = forget_nothing
    prune: Callable[[Collection[Path]], None] = prune_nothing
    make_inference: Callable[[Executor, Clock], Inference] = first_come


def real_parts(settings: Settings) -> Parts:
    """Returns the shipped model and the installed voices, the default voice chosen but not loaded.

    Raises:
        VivantError: the voice does not exist, or no voice works.
    """
    from server.voice.catalog import check_voice, choose_voice, list_voices, open_voice

    device = device_of(settings.device)
    # One generator for all portraits: its weights are loaded once and its sessions batched.
    motion = motion_on(device, settings)
    fitted = settings.cache_dir / "portraits"

    def make_avatar(path: Path) -> tuple[AvatarPort, tuple[str, ...]]:
        from streaming_model.portrait import make_portrait  # while a voice is loaded

        portrait = make_portrait(path, cache_dir=fitted)
        avatar = avatar_on(device, portrait, motion, settings, cache_dir=fitted)
        return avatar, tuple(portrait.warnings)

    def forget(path: Path) -> None:
        from streaming_model.portrait import forget_portrait

        forget_portrait(path, cache_dir=fitted)

    def prune(paths: Collection[Path]) -> None:
        from streaming_model.portrait import forget_other_portraits

        forget_other_portraits(paths, cache_dir=fitted)

    default = choose_voice() if settings.voice == "auto" else settings.voice
    check_voice(default)
    return Parts(
        make_avatar,
        tuple(list_voices()),
        default,
        open_voice,
        forget=forget,
        prune=prune,
        make_inference=first_come if device is None else DeviceInference,
    )


class Server:
    """Everything that lives as long as the process.

    Attributes:
        app: the ASGI application.
        served: the same, behind what depends on the address that it is served at.
        house: what it serves from.
        connections: what one client's connection may take.
        has_ended: whether its threads were done when it shut down.
        clock: what it goes by.
        custody: of people's pictures.
    """

    def __init__(
        self,
        settings: Settings,
        parts: Parts,
        *,
        clock: Clock | None = None,
        cores: float | None = None,
        keeper: Keeper | None = None,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        """Takes settings and parts, and what there is beside.

        Args:
            settings: everything that can be set.
            parts: the model and the voices.
            clock: what it goes by.
            cores: its share of them.
            keeper: keeps its sessions.
            elsewhere: tells what others show that have the same storage.
        """
        places = Places(settings)
        self._settings = settings
        self.clock: Clock = clock or MonotonicClock()
        self._workers = {
            name: MeteredThread(name, self.clock, _name_thread, name) for name in _WORKERS
        }
        self._remote_voices = RemoteThreads(_REMOTE_VOICES, "remote voice")
        self._engines = Engines(
            inference=parts.make_inference(self._workers["inference"], self.clock),
            picture_worker=self._workers["pictures"],
            sound_worker=self._workers["sound"],
            clock=self.clock,
        )
        self._capacity = Capacity(
            cores=usable_cores() if cores is None else min(cores, usable_cores()),
            share=settings.core_share,
            cap=settings.max_sessions,
        )
        self._leftovers = Leftovers()
        self._gauge = Gauge(
            workers={name: self._workers[name] for name in _LIVE},
            voices=[self._workers[name] for name in _VOICES],
            others=[self._workers["portraits"]],
            capacity=self._capacity,
            clock=self.clock,
        )
        origins = Origins(settings.allow_origin)
        access = make_access(settings, origins, self.clock)
        self._ledger = Ledger(settings.cache_dir / MARKS_FOLDER, is_kept=not settings.no_ledger)
        warden = make_warden(settings, places.records())
        self._is_warm = False
        self.has_ended = False
        self._is_over = asyncio.Event()
        sessions = Sessions(
            capacity=self._capacity,
            measure=self._measure,
            queue_length=settings.queue_length,
            tokens=access.tokens,
            clock=self.clock,
            keeper=keeper,
        )
        portraits = _portraits(
            settings,
            parts,
            places.uploads(),
            self._engines.inference,
            self._workers["portraits"],
            warden,
        )
        backgrounds = places.backgrounds(self._workers["portraits"])
        library = places.library(self.clock)
        options = replace(_options(settings), presences=access.presences)
        self.custody = make_custody(
            settings,
            portraits,
            warden,
            sessions=sessions,
            library=library,
            backgrounds=backgrounds,
            ledger=self._ledger,
            audit=options.audit,
            clock=self.clock,
            prune=parts.prune,
            elsewhere=elsewhere if places.is_shared else None,
        )
        self.house = House(
            sessions=sessions,
            figures=Figures(self._engines.totals, sessions),
            portraits=portraits,
            custody=self.custody,
            backgrounds=backgrounds,
            voices=Voices(
                entries=parts.voice_entries,
                default=parts.default_voice,
                open_voice=parts.open_voice,
                worker=self._workers["speech"],
                urgent_worker=self._workers["urgent speech"],
                remote_worker=self._remote_voices,
            ),
            library=library,
            options=options,
            talk=make_talk(settings),
            access=access,
            origins=origins,
            make_session=self._make_session,
            is_ready=lambda: self._is_warm,
            clock=self.clock,
        )
        self.app = make_app(self.house, page=page_folder(), lifespan=self._lifespan)
        self.connections: ConnectionLimits = settings.connections()
        self.served: ASGIApp = LocalHosts(self.app) if is_for_this_machine(settings) else self.app

    async def warm_up(self) -> None:
        """Makes the default portrait and voice ready, and measures what a session costs.

        Raises:
            VivantError: the picture, the model or the voice cannot be used.
        """
        portraits, options = self.house.portraits, self.house.options
        # Side by side: a voice is loaded by compiled code, a portrait mostly by Python.
        avatar, _ = await asyncio.gather(
            portraits.avatar(portraits.default, self.house.backgrounds.default),
            self._warm_voice(),
        )
        await self._gauge.rehearse(
            MarkedAvatar(avatar, Marker(options.marks, payload_of("rehearsal"))),
            self._engines.inference,
            codec=options.codecs[0],
            bitrate=options.bitrate,
            openers=options.openers,
        )
        loop = asyncio.get_running_loop()
        for name, niceness in _WORKERS.items():
            # Not before: there was nobody to give way to, and a busy machine would never be ready.
            await loop.run_in_executor(self._workers[name], _give_way, niceness)
        self._is_warm = True

    async def _warm_voice(self) -> None:
        voice = await self.house.voices.open(self.house.voices.default)
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._workers["speech"], voice.warm_up)

    def tell_omissions(self) -> None:
        """Logs which marks are left out, and why."""
        for sentence in self.house.options.marks.omissions:
            _LOG.warning(sentence)

    def end(self) -> None:
        """Ends every session, so that their connections close by themselves."""
        self._is_over.set()

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        await self.custody.begin()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.house.sessions.run(self._is_over))
            custody = group.create_task(self.custody.run())
            library = group.create_task(self.house.library.run())
            presences = group.create_task(self.house.access.presences.run(self.clock))
            try:
                yield
            finally:
                library.cancel()
                presences.cancel()
                custody.cancel()
                self.end()
        loop = asyncio.get_running_loop()
        idle = [loop.run_in_executor(worker, int) for worker in self._workers.values()]
        _done, busy = await asyncio.wait(idle, timeout=_LAST_WORK)
        await close_talk(self.house.talk)
        self.custody.end()
        self.house.options.audit.close()
        self.has_ended = not busy and self._remote_voices.waiting == 0
        for worker in (*self._workers.values(), self._remote_voices):
            worker.shutdown(wait=False, cancel_futures=True)

    def _measure(self, watched: int) -> None:
        self._gauge.sample(watched)
        evenness = self._engines.totals.evenness
        self._capacity.is_uneven = not evenness.is_even(self.clock.now())
        sessions = self.house.sessions
        if self._leftovers.are_due(opened=sessions.opened, live=len(sessions)):
            asyncio.get_running_loop().run_in_executor(self._workers["pictures"], give_back)

    def _make_session(
        self,
        *,
        session_id: str,
        portrait: str,
        avatar: AvatarPort,
        voice: str,
        style: MotionStyle,
        seed: int | None,
        manner: Manner | None = None,
        owner: Principal = LOCAL,
    ) -> Session:
        began = datetime.now(tz=UTC).isoformat(timespec="seconds")
        self._ledger.note(Entry(session_id, began, portrait, "session"))
        return Session(
            session_id=session_id,
            portrait=portrait,
            avatar=avatar,
            voice=voice,
            seed=self._settings.seed if seed is None else seed,
            style=style,
            options=self.house.options,
            engines=self._engines,
            portraits=self.house.portraits,
            backgrounds=self.house.backgrounds,
            voices=self.house.voices,
            talk=self.house.talk,
            manner=manner,
            owner=owner,
        )


def serve(
    settings: Settings,
    parts: Parts | None = None,
    *,
    make_loop: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> None:
    """Serves until SIGINT, or until SIGTERM and the sessions' time to finish.

    Args:
        settings: everything that can be set.
        parts: the model and the voices; those that ship if not given.
        make_loop: makes the event loop; asyncio's own if not given.

    Raises:
        VivantError: the port is taken, the portrait or the voice cannot be used, or a file of
            the model is missing.
    """
    require_access(settings)
    certificate = certificate_for(settings)
    configure_logs(level=settings.log_level, format=settings.log_format, secrets=settings.secrets())
    allow_files()
    sys.setswitchinterval(SWITCH_INTERVAL)
    cv2.setNumThreads(1)  # colour conversion is too small a job to share
    listener = bind(settings)
    with contextlib.closing(listener), asyncio.Runner(loop_factory=make_loop) as runner:
        made = parts or real_parts(settings)
        if settings.udp_ports is not None:
            confine(runner.get_loop(), settings.udp_ports)
        has_ended = runner.run(_serve(settings, made, listener, certificate))
    if not has_ended:
        # Everything is closed, but a voice is in the middle of a clause and cannot be stopped;
        # an ordinary exit would wait for it.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def http_server(server: Server, certificate: Certificate | None = None) -> HttpServer:
    """Returns what serves HTTP, or HTTPS; it ends when its `should_exit` is set."""
    return serve_http(server.served, server.connections, certificate)


async def _serve(
    settings: Settings, parts: Parts, listener: socket.socket, certificate: Certificate | None
) -> bool:
    """Serves until told to end; returns whether all threads have ended too."""
    server = Server(settings, parts)
    await server.warm_up()
    server.tell_omissions()
    # What is there now stays. A full collection would look through all of it again and hold every
    # thread meanwhile: 80 to 120 ms with the shipped model, three pictures of every session.
    gc.collect()
    gc.freeze()
    http = http_server(server, certificate)

    def end() -> None:
        server.end()
        http.should_exit = True

    sessions, clock = server.house.sessions, server.clock
    ending = Ending(sessions, seconds=settings.drain_timeout, clock=clock, end=end)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, ending.hurry)
    loop.add_signal_handler(signal.SIGTERM, ending.ask)
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    scheme = "http" if certificate is None else "https"
    if settings.log_format == "text":
        print(f"Vivant is ready at {scheme}://{shown}:{port}/", flush=True)  # noqa: T201 - for people
    if settings.tls_self_signed and certificate is not None:
        print(f"SHA-256 of its certificate: {certificate.fingerprint}", flush=True)  # noqa: T201
    if certificate is None and not (server.house.access.is_open or is_local_name(settings.host)):
        _LOG.warning("Keys cross the network as they are, unless a proxy encrypts (--tls-cert).")
    _LOG.info("ready", extra={"address": f"{scheme}://{shown}:{port}/"})
    async with asyncio.TaskGroup() as group:
        watch = group.create_task(ending.run(), name="ending")
        await http.serve(sockets=[listener])
        watch.cancel()
    return server.has_ended


def _name_thread(name: str) -> None:
    """Gives a worker thread its name in `top -H`, where the system can."""
    with contextlib.suppress(OSError):
        Path(f"/proc/self/task/{threading.get_native_id()}/comm").write_text(name)


def _give_way(niceness: int) -> None:
    """Makes the calling thread nicer than the process by `niceness`, where the system can."""
    if niceness and sys.platform == "linux":  # elsewhere it would be the whole process
        thread = threading.get_native_id()
        own = os.getpriority(os.PRIO_PROCESS, thread)
        os.setpriority(os.PRIO_PROCESS, thread, own + niceness)


def bind(settings: Settings) -> socket.socket:
    """Returns a socket that listens where the settings say.

    Raises:
        SettingsError: the address or the port cannot be had.
    """
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        listener = socket.create_server((settings.host, settings.port), family=family)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # Accepted sockets inherit it: a client that takes nothing any more lets go of its own.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNANSWERED)
        return listener
    except OSError as error:
        # A positive number is the system's; resolving a name fails with others of its own.
        number = error.errno or 0
        reason = os.strerror(number) if number > 0 else error.strerror
        raise SettingsError(
            f"Cannot listen on {settings.host}, port {settings.port}: {reason}."
        ) from None


def _options(settings: Settings) -> SessionOptions:
    codecs = tuple(VideoCodec(name.upper()) for name in settings.video_codecs)
    for codec in codecs:
        if name := missing_encoder(codec):
            raise SettingsError(f"PyAV here was built without {name}, which {codec.value} needs.")
    marks = settings.marks()
    sealer = Sealer.of(marks, settings.cache_dir / MARKS_FOLDER)
    return SessionOptions(
        fps=settings.fps,
        size=settings.size,
        bitrate=settings.bitrate * 1000,
        codecs=codecs,
        openers=find_openers() if VideoCodec.H264 in codecs else OPENERS,
        ice_servers=make_ice_servers(
            settings.ice_servers,
            username=settings.ice_username,
            credential=settings.ice_credential,
            secret=_turn_secret(settings),
        ),
        chunk_frames=settings.chunk_frames,
        lookahead_frames=settings.lookahead_frames,
        style=settings.style(),
        limits=LifeLimits(
            unused=settings.idle_timeout,
            lost=settings.resume_timeout,
            quiet=settings.quiet_timeout,
            longest=settings.max_time,
        ),
        barge_in=settings.barge_in,
        outputs=replace(settings.outputs(), seal=sealer.seal),
        marks=marks,
        audit=_audit(settings),
        half_open=HalfOpen(settings.max_connecting),
        connect_time=settings.connect_timeout,
        most_viewers=settings.max_viewers,
    )


def _audit(settings: Settings) -> AuditLog:
    largest = 1_000_000 * settings.audit_size
    return AuditLog(settings.audit_log, largest=largest, days=settings.audit_keep)


def _turn_secret(settings: Settings) -> TurnSecret | None:
    if settings.turn_secret is None:
        return None
    if settings.ice_username is not None or settings.ice_credential is not None:
        raise SettingsError(
            "turn_secret makes user names and passwords: give it or ice_username and "
            "ice_credential, not both."
        )
    return TurnSecret(settings.turn_secret, settings.turn_time)


def _portraits(
    settings: Settings,
    parts: Parts,
    uploads: UploadFolder,
    inference: Inference,
    worker: ThreadPoolExecutor,
    warden: Warden,
) -> Portraits:
    assets = Path(str(importlib.resources.files("streaming_model"))) / "assets"
    entries = [
        PortraitEntry(BUILTIN_PORTRAIT, "Mona Lisa", True, assets / f"{BUILTIN_PORTRAIT}.jpg")
    ]
    default = BUILTIN_PORTRAIT
    if settings.portrait != BUILTIN_PORTRAIT:
        path = Path(settings.portrait)
        if not path.is_file():
            raise SettingsError(f"There is no portrait or picture file '{settings.portrait}'.")
        default = "own"
        entries.insert(0, PortraitEntry(default, path.stem[:60], True, path))
    return Portraits(
        entries,
        default=default,
        uploads=uploads,
        size=settings.size,
        make_avatar=parts.make_avatar,
        inference=inference,
        worker=worker,
        preview=parts.preview,
        forget=parts.forget,
        guard=warden,
    )


def page_folder() -> Path | None:
    """Returns the folder of the page's files; None where they were not packed."""
    index = Path(str(importlib.resources.files("client_web") / "index.html"))
    return index.parent if index.is_file() else None
