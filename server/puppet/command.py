"""`vivant puppet`: its options, and what they are put together to."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from server.access.client_key import add_key, read_key
from server.puppet.ports import CameraPort, MicrophonePort, PuppetError, SpeakerPort

if TYPE_CHECKING:
    from server.app import Parts
    from server.config import Settings
    from server.puppet.live_link import LiveLinkPort
    from vivant_client import Session

DEFAULT = ""  # a device that is not named
_VIEW_TIME = 86_400.0  # seconds that OBS may show the session
FILMS = (".mp4", ".mov", ".mkv")


def add_puppet(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command to the parser."""
    puppet = commands.add_parser(
        "puppet", help="send the portrait into a video call, driven by your voice and face"
    )
    puppet.add_argument(
        "--mic", nargs="?", const=DEFAULT, metavar="DEVICE", help="your voice; or an audio file"
    )
    puppet.add_argument(
        "--camera",
        nargs="?",
        const=DEFAULT,
        metavar="DEVICE",
        help="a virtual camera for the pictures; or a film (.mp4)",
    )
    puppet.add_argument(
        "--speaker",
        nargs="?",
        const=DEFAULT,
        metavar="DEVICE",
        help="a device for the voice, delayed to its picture: a virtual microphone's other end",
    )
    puppet.add_argument(
        "--live-link",
        type=int,
        nargs="?",
        const=11_111,
        metavar="PORT",
        help="your face by Live Link Face from an iPhone (UDP, 11111 if no port is given)",
    )
    puppet.add_argument(
        "--lips", choices=("voice", "face"), default="voice", help="what moves them, with a face"
    )
    add_key(puppet)
    puppet.add_argument("--portrait", metavar="PORTRAIT", help="a built-in portrait or a picture")
    puppet.add_argument("--background", metavar="VALUE", help="blur, green, a colour, a picture")
    puppet.add_argument("--url", help="of a server that runs; else one runs here meanwhile")
    puppet.add_argument("--session", metavar="ID", help="of --url, that is open already")
    puppet.add_argument("--seconds", type=float, help="ends after so many; for trials")
    puppet.add_argument("--list-devices", action="store_true", help="show all sound devices")
    puppet.set_defaults(run=run_puppet)


def run_puppet(options: argparse.Namespace) -> int:
    """Plays until interrupted."""
    from server.puppet.sound_devices import list_devices

    if options.list_devices:
        say(list_devices())
        return 0
    check(options)
    asyncio.run(play(options))
    return 0


def check(options: argparse.Namespace) -> None:
    """Accepts options that go together.

    Raises:
        PuppetError: they do not.
    """
    if options.mic is None and options.live_link is None:
        raise PuppetError("Give --mic, --live-link or both: nothing would move the portrait.")
    if options.speaker is not None and options.camera and _is_film(options.camera):
        raise PuppetError("A film takes the voice itself: leave out --speaker.")
    if options.session and not options.url:
        raise PuppetError("--session goes with --url: a server's own sessions are its.")
    if options.session and (options.portrait or options.background):
        raise PuppetError("--session has its portrait and background already.")
    if options.live_link is not None and not 0 <= options.live_link <= 65_535:
        raise PuppetError(f"A port is 0 to 65535, not {options.live_link}.")
    if options.seconds is not None and not options.seconds > 0:
        raise PuppetError(f"--seconds must be more than 0, not {options.seconds:g}.")


async def play(
    options: argparse.Namespace, parts: Callable[[Settings], Parts] | None = None
) -> None:
    """Plays as the options say; `parts` are those of a server here, if not the real ones.

    Raises:
        VivantError: a device, the portrait or the server cannot be used.
    """
    from server.puppet.cameras import find_camera
    from server.puppet.files import Film
    from server.puppet.live_link import LiveLinkPort
    from server.puppet.show import Puppet, face_channel

    async with AsyncExitStack() as stack:
        microphone, speaker = _microphone(options.mic), _speaker(options.speaker)
        if speaker is not None:
            stack.callback(speaker.close)
        if options.camera is not None and not _is_film(options.camera):
            find_camera(options.camera or None)
        faces = None
        if options.live_link is not None:
            faces, take = face_channel()
            phone = LiveLinkPort(take)
            port = await phone.open(options.live_link)
            stack.callback(phone.close)
            stack.callback(_report, phone)
            say(f"Live Link Face: send to this machine, UDP port {port}")
        session = await stack.enter_async_context(_session(options, parts))
        camera = _camera(options.camera, size=session.ready.size, fps=session.ready.fps)
        if camera is not None:
            stack.callback(camera.close)
        if isinstance(camera, Film):
            speaker = camera  # it takes the sound, too
        say(f"The portrait '{session.ready.portrait}' is live; end with Ctrl-C.")
        puppet = Puppet(
            session=session,
            microphone=microphone,
            camera=camera,
            speaker=speaker,
            faces=faces,
            lips_by_voice=options.lips == "voice" and microphone is not None,
        )
        await puppet.play(options.seconds)


@asynccontextmanager
async def _session(
    options: argparse.Namespace, parts: Callable[[Settings], Parts] | None
) -> AsyncIterator[Session]:
    """Yields the session: of another server, or of one that runs here meanwhile."""
    import vivant_client
    from vivant_client.rest import key_headers

    key = read_key(options)
    if options.session:
        async with vivant_client.join(options.url, options.session, key=key) as session:
            yield session
        return
    async with AsyncExitStack() as stack:
        address, portrait = options.url, options.portrait
        if address is None:
            address, portrait = await stack.enter_async_context(_own(options, parts)), None
        wanted = vivant_client.connect(
            address,
            portrait=portrait,
            background=options.background if options.url else None,
            key=key,
            on_queued=lambda place: say(f"The server is full: number {place.position} in line"),
        )
        session = await stack.enter_async_context(wanted)
        say(f"For OBS: {address}/view/{session.id}")
        if key_headers(key) and options.url:
            token = await session.share("watch", seconds=_VIEW_TIME)
            say(f"That page asks for this token, good for a day (Interact, in OBS): {token}")
        yield session


@asynccontextmanager
async def _own(
    options: argparse.Namespace, parts: Callable[[Settings], Parts] | None
) -> AsyncIterator[str]:
    from server.app import real_parts
    from server.config import Settings
    from server.puppet.own_server import own_server

    chosen = {"portrait": options.portrait, "background": options.background}
    settings = Settings(
        port=0, queue_length=0, **{name: value for name, value in chosen.items() if value}
    )
    say("Making the portrait ready...")
    async with own_server(settings, (parts or real_parts)(settings)) as address:
        yield address


def _microphone(name: str | None) -> MicrophonePort | None:
    if name is None:
        return None
    if Path(name).suffix and Path(name).is_file():
        from server.puppet.files import FileMicrophone

        return FileMicrophone(Path(name))
    from server.puppet.sound_devices import DeviceMicrophone

    return DeviceMicrophone(name or None)


def _speaker(name: str | None) -> SpeakerPort | None:
    if name is None:
        return None
    from server.puppet.sound_devices import DeviceSpeaker

    return DeviceSpeaker(name or None)


def _camera(name: str | None, *, size: int, fps: int) -> CameraPort | None:
    if name is None:
        return None
    if _is_film(name):
        from server.puppet.files import Film

        return Film(Path(name), size=size, fps=fps)
    from server.puppet.cameras import open_camera

    return open_camera(name or None, size=size, fps=fps)


def _is_film(name: str) -> bool:
    return Path(name).suffix.lower() in FILMS


def _report(phone: LiveLinkPort) -> None:
    if phone.malformed:
        say(f"{phone.malformed} packets on the Live Link port were no faces and were ignored.")


def say(text: str) -> None:
    """Prints a line for people."""
    with contextlib.suppress(BrokenPipeError):
        print(text, file=sys.stdout, flush=True)  # noqa: T201 - a command line prints
