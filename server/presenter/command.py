"""`vivant present`: has a running server read a script, and shows where it is."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from server.access.client_key import add_key, read_key
from streaming_model.errors import VivantError

if TYPE_CHECKING:
    from vivant_client import Queued, Session

_ADDRESS = "http://127.0.0.1:8080"
_FORMATS = ("text", "markdown", "srt")
_RECORDED = frozenset({
    ".wav", ".mp3", ".ogg", ".oga", ".opus", ".flac", ".m4a", ".aac", ".wma", ".aiff", ".mp4",
    ".mov", ".mkv", ".webm", ".avi",
})  # fmt: skip
_MEDIA_SECOND = 16_000  # samples
_LAST_SOUND = 1.0  # seconds for the end to reach the viewers
_LOOK_AGAIN = 0.5  # seconds between looks for a viewer
_LARGEST = 1_000_000  # bytes of a script
_INTERRUPTED = 130  # exit status by convention
_SHOWN = 100  # characters of a sentence


def add_present(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command to the parser."""
    present = commands.add_parser("present", help="read a script aloud on a running server")
    present.add_argument(
        "script", type=Path, metavar="SCRIPT", help=".txt, .md, .srt, or recorded speech"
    )
    present.add_argument("--url", default=_ADDRESS, help=f"of the server ({_ADDRESS})")
    add_key(present)
    present.add_argument("--session", metavar="ID", help="one that is open already")
    present.add_argument("--format", choices=_FORMATS, help="if the file's name does not tell it")
    present.add_argument("--captions", type=Path, metavar="FILE.srt", help="of a recording")
    present.add_argument("--sentence", type=int, default=0, metavar="N", help="begin there, from 0")
    present.add_argument("--portrait", metavar="ID", help="of a new session")
    present.add_argument("--voice", metavar="NAME", help="of a new session; see `vivant voices`")
    present.add_argument("--background", metavar="VALUE", help="of a new session")
    present.add_argument("--wait", action="store_true", help="begin when somebody watches")
    present.add_argument(
        "--push", action="append", default=[], metavar="URL", help="rtmp, srt or rtsp; repeatable"
    )
    present.add_argument("--record", type=Path, metavar="FILE", help="a film: .mp4 or .webm")
    present.add_argument(
        "--check", action="store_true", help="tell what is wrong with the script, and say nothing"
    )
    present.set_defaults(run=run_present)


def run_present(options: argparse.Namespace) -> int:
    """Has the script read; returns 130 when Ctrl-C ended it."""
    from server.presenter.script import format_of

    is_recorded = _is_recorded(options)
    source = options.captions if is_recorded else options.script
    text = None if source is None else read_text(source)
    options.format = options.format or format_of(options.script.name)
    if options.check and (text is None or is_recorded):
        raise VivantError("--check is for scripts of text.")
    if options.check and text is not None:
        return _check(text, options)
    film: Path | None = options.record
    if film is not None and film.suffix.lower() not in (".mp4", ".webm"):
        raise VivantError(f"A film is recorded as .mp4 or .webm; '{film.name}' is neither.")
    if film is not None and not film.parent.is_dir():
        raise VivantError(f"There is no folder '{film.parent}' to write '{film.name}' in.")
    return asyncio.run(_present(text, options))


def _is_recorded(options: argparse.Namespace) -> bool:
    """Whether the script is an audio or video file.

    Raises:
        VivantError: it cannot be used, or an option is for the other kind of script.
    """
    from server.media_files import AudioFile

    path: Path = options.script
    if path.suffix.lower() in _RECORDED:
        with AudioFile(path):
            return True
    if options.captions is not None:
        raise VivantError(f"--captions are for a recording; '{path.name}' is read aloud as text.")
    return False


def read_text(path: Path) -> str:
    """Returns the text of a script's file.

    Raises:
        VivantError: there is none, or it is no text in UTF-8.
    """
    try:
        data = path.read_bytes()[: _LARGEST + 1]
    except FileNotFoundError:
        raise VivantError(f"There is no script '{path}'.") from None
    except OSError as error:
        raise VivantError(f"'{path}' cannot be read: {error.strerror}.") from None
    if len(data) > _LARGEST:
        raise VivantError(f"'{path.name}' is larger than {_LARGEST:,} bytes, and no script.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise VivantError(
            f"'{path.name}' is not text in UTF-8 (byte {error.start} is {data[error.start]:#04x})."
        ) from None


def _check(text: str, options: argparse.Namespace) -> int:
    """Prints the warnings; returns 1 if there are any."""
    from server.presenter.script import parse_script

    script = parse_script(text, options.format)
    for notice in script.notices:
        print(f"{options.script}:{notice.line}:{notice.column}: {notice.message}")
    print(f"{options.script}: {len(script.sentences)} sentences, {len(script.notices)} warnings")
    return 1 if script.notices else 0


async def _present(text: str | None, options: argparse.Namespace) -> int:
    async with _session(options) as session:
        script = await _give(session, text, options)
        name = options.captions or options.script
        for warning in script["warnings"]:
            _tell(f"{name}:{warning['line']}:{warning['column']}: {warning['message']}")
        if not script["sentences"]:
            raise VivantError(f"There is nothing to say in '{options.script}'.")
        _tell(f"Watch at {options.url.rstrip('/')}/view/{session.id}")
        if options.wait:
            await _until_watched(session)
        async with _outputs(session, options):
            return await _Performance(session, script["sentences"]).run(options.sentence)


async def _give(session: Session, text: str | None, options: argparse.Namespace) -> dict[str, Any]:
    if options.script.suffix.lower() in _RECORDED:
        return await session.script.put_recording(options.script, text)
    return await session.script.put(text or "", format=options.format)


def _session(options: argparse.Namespace) -> Session:
    """Returns the session that is asked for, to be entered.

    Raises:
        VivantError: an option is for a new session.
    """
    from vivant_client import connect
    from vivant_client.opening import join

    wanted = {name: getattr(options, name) for name in ("portrait", "voice", "background")}
    key = read_key(options)
    if options.session is None:
        return connect(options.url, media=False, key=key, on_queued=_tell_place, **wanted)
    if given := next((name for name, value in wanted.items() if value is not None), None):
        raise VivantError(f"--{given} is for a new session; '{options.session}' is open already.")
    return join(options.url, options.session, media=False, key=key)


def _tell_place(queued: Queued) -> None:
    wait = "" if queued.wait_s is None else f", about {queued.wait_s} s"
    _tell(f"The server is full: number {queued.position} in line{wait}.")


async def _until_watched(session: Session) -> None:
    _tell("Waiting for somebody to watch.")
    while not (await session.describe())["viewers"]:  # noqa: ASYNC110 - no event tells it
        await asyncio.sleep(_LOOK_AGAIN)


@contextlib.asynccontextmanager
async def _outputs(session: Session, options: argparse.Namespace) -> AsyncIterator[None]:
    """Records and pushes meanwhile."""
    pushed = [await session.outputs.push(url) for url in options.push]
    film: Path | None = options.record
    recording = None
    if film is not None:
        is_webm = film.suffix.lower() == ".webm"
        recording = await session.outputs.record("webm" if is_webm else "mp4")
    try:
        yield
    finally:
        for output in pushed:
            await session.outputs.stop(output)
        if recording is not None and film is not None:
            try:
                await session.outputs.finish(recording, film)
            except OSError as error:
                raise VivantError(f"'{film}' cannot be written: {error.strerror}.") from error
            _tell(f"{film} is written.")


class _Performance:
    """One reading of a script, with the keys that steer it."""

    def __init__(self, session: Session, sentences: list[dict[str, Any]]) -> None:
        self._session = session
        self._sentences = sentences
        self._keys: asyncio.Queue[str] = asyncio.Queue(maxsize=16)
        self._is_paused = False
        self._failure: VivantError | None = None

    async def run(self, sentence: int) -> int:
        """Plays from a sentence to the end; returns the exit status.

        Raises:
            VivantError: the server refuses something, or the session ends before the script.
        """
        status, failure = 0, None
        with self._heard_keys():
            async with asyncio.TaskGroup() as group:
                follow = group.create_task(self._follow())
                await asyncio.sleep(0)  # it listens before anything is said
                try:
                    status = await self._steer(sentence)
                except VivantError as error:
                    failure = error  # the group would wrap it
                follow.cancel()
        if failure is not None:
            raise failure
        return status

    async def _steer(self, sentence: int) -> int:
        await self._session.script.play(sentence or None)
        while (key := await self._keys.get()) != "end":
            if not await self._obey(key):
                return _INTERRUPTED
        if self._failure is not None:
            raise self._failure
        await asyncio.sleep(_LAST_SOUND)
        return 0

    async def _obey(self, key: str) -> bool:
        """Does what a key asks for; returns whether the performance goes on."""
        if key == "enter":
            if self._is_paused:
                self._is_paused = False
                await self._session.script.play()
            return True
        await self._session.script.pause()
        if self._is_paused or not sys.stdin.isatty():
            return False
        self._is_paused = True
        _tell("Paused. Enter goes on, Ctrl-C ends.")
        return True

    async def _follow(self) -> None:
        """Shows where it is; the end is a key, too."""
        try:
            await self._show_events()
        except VivantError as error:
            self._failure = error
        await self._keys.put("end")

    async def _show_events(self) -> None:
        from vivant_client import ScriptPosition, ScriptUpdated, SessionEndedError, Warned

        begun: int | None = None
        async for event in self._session.events():
            match event:
                case ScriptPosition(sentence=sentence, media_time=media_time):
                    begun = media_time if begun is None else begun
                    self._show(sentence, media_time - begun)
                case ScriptUpdated(state="ended"):
                    return
                case Warned(message=message):
                    _tell(message)
        raise SessionEndedError("The session ended before the script did.", reason="client")

    def _show(self, sentence: int, media_time: int) -> None:
        seconds, count = media_time // _MEDIA_SECOND, len(self._sentences)
        text = self._sentences[sentence]["text"] if sentence < count else ""
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
        print(f"{seconds // 60}:{seconds % 60:02}  {sentence + 1}/{count}  {shown}", flush=True)

    @contextlib.contextmanager
    def _heard_keys(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._press, "interrupt")
        listens = sys.stdin.isatty()
        if listens:
            loop.add_reader(sys.stdin, self._read_line)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGINT)
            if listens:
                loop.remove_reader(sys.stdin)

    def _read_line(self) -> None:
        sys.stdin.readline()
        self._press("enter")

    def _press(self, key: str) -> None:
        with contextlib.suppress(asyncio.QueueFull):  # sixteen keys wait: one more says no more
            self._keys.put_nowait(key)


def _tell(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
