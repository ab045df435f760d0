"""The `vivant` command: serve, render, motion, portrait, present, puppet, record, verify and more.

Parses, calls, and turns errors into one sentence and an exit status: 2 for what the user can
mend, 1 for a refused portrait check. Heavy imports wait until a command needs them.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from server.access.command import add_keys
from server.consent.command import add_deny, add_uploads
from server.drain_command import add_drain
from server.marks.command import add_marks, add_verify, marks_for
from server.outputs.command import add_record
from server.presenter.command import add_present
from server.puppet.command import add_puppet
from streaming_model.errors import AudioError, VivantError

if TYPE_CHECKING:
    from server.ingest import AlignedAudio
    from server.media_files import FilmMarks
    from server.presenter.script import Script
    from server.presenter.sentence import Sentence
    from server.voice.base import Voice
    from streaming_model.avatar import Avatar
    from streaming_model.motion import MotionStyle


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    options = parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except VivantError as error:
        print(f"vivant: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output has gone (`vivant voices | head`): nothing more to say to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def parser() -> argparse.ArgumentParser:
    """Returns the parser of all commands."""
    root = argparse.ArgumentParser(
        prog="vivant", description="A portrait that speaks, live.", allow_abbrev=False
    )
    version = importlib.metadata.version("vivant")
    root.add_argument("--version", action="version", version=f"vivant {version}")
    commands = root.add_subparsers(required=True, metavar="COMMAND")
    _add_serve(commands)
    _add_render(commands)
    _add_motion(commands)
    _add_portrait(commands)
    add_present(commands)
    add_puppet(commands)
    add_record(commands)
    add_keys(commands)
    add_drain(commands)
    add_deny(commands)
    add_verify(commands)
    voices = commands.add_parser("voices", help="list the voices")
    voices.add_argument("--json", action="store_true", help="for programs")
    voices.set_defaults(run=run_voices)
    return root


def run_serve(options: argparse.Namespace) -> int:
    """Serves until interrupted."""
    from server.starting import import_server

    import_server()
    from server.app import serve
    from server.cluster.command import ClusterOptions, require_ray
    from server.config import Settings

    settings = Settings.load(options)
    make_loop = None
    with contextlib.suppress(ImportError):  # there is no uvloop on Windows
        import uvloop

        make_loop = uvloop.new_event_loop
    if options.ray is None:
        serve(settings, make_loop=make_loop)
        return 0
    cluster = ClusterOptions.of(options)
    require_ray()
    from server.cluster.ray_layout import serve_ray

    serve_ray(settings, cluster, make_loop=make_loop)
    return 0


def run_render(options: argparse.Namespace) -> int:
    """Renders a film from speech or ready-made motion."""
    from server.consent.screening import refuse_denied
    from server.media_files import codecs_for
    from streaming_model.avatar import Avatar
    from streaming_model.backdrop import Backdrop

    out: Path = options.output
    backdrop = Backdrop.read(options.background)
    codecs_for(out, is_transparent=backdrop.is_transparent)
    _require_folder(out)
    _check_sources(options)
    _style(options)
    script = _script(options)
    refuse_denied(options.portrait)
    marks = marks_for(options)
    film = _film_from_motion if options.motion else _film_from_speech
    if script is not None:
        film = partial(_film_from_script, script)
    avatar = Avatar.from_image(
        options.portrait,
        size=options.size,
        fps=options.fps,
        steps=options.steps,
        backdrop=backdrop,
    )
    for warning in avatar.portrait.warnings:
        _warn(warning)
    seconds = film(avatar, options, marks)
    print(f"{out}: {seconds:.1f} s, {options.size}x{options.size}, {options.fps} fps")
    return 0


def run_motion(options: argparse.Namespace) -> int:
    """Writes the motion of speech to a file."""
    from server.offline import write_motion
    from streaming_model.motion import load_motion_generator

    out: Path = options.output
    if out.suffix.lower() not in {".csv", ".npz"}:
        raise VivantError(f"Motion is written as .csv or .npz; '{out.name}' is neither.")
    _require_folder(out)
    style = _style(options)
    generator = load_motion_generator(steps=options.steps)
    blocks, seconds = _speech(options)
    with progress_bar("Listening", seconds) as progress:
        frames = write_motion(
            generator, blocks, out, seed=options.seed, style=style, progress=progress
        )
    print(f"{out}: {frames} frames, 25 fps")
    return 0


def run_portrait_check(options: argparse.Namespace) -> int:
    """Reports whether a picture can become a portrait; exits 1 when it cannot."""
    from server.consent.deny import FaceDeniedError
    from server.consent.screening import refuse_denied
    from streaming_model.portrait.report import check_portrait

    try:
        refuse_denied(options.image)
    except FaceDeniedError as error:
        refused = {"accepted": False, "code": error.code, "message": str(error)}
        print(json.dumps(refused, indent=2) if options.json else str(error))
        return 1
    report = check_portrait(options.image)
    print(json.dumps(report.to_json(), indent=2) if options.json else report.to_text())
    return 0 if report.accepted else 1


def run_voices(options: argparse.Namespace) -> int:
    """Lists the voices of this machine."""
    from server.voice.catalog import list_voices

    voices = list_voices()
    if options.json:
        keys = ("name", "engine", "language", "label")
        print(json.dumps([{key: getattr(voice, key) for key in keys} for voice in voices]))
        return 0
    for voice in voices:
        print(f"{voice.name:14} {voice.engine:8} {voice.language:6} {voice.label}")
    return 0


@contextlib.contextmanager
def progress_bar(label: str, total: float | None) -> Iterator[Callable[[float], None]]:
    """Shows seconds done on standard error; yields the function that moves the bar."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.1f} s of {task.fields[length]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        length = "?" if total is None else f"{total:.1f} s"
        task = progress.add_task(label, total=total, length=length)
        yield lambda seconds: progress.update(task, completed=seconds)


def _add_serve(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from server.cluster.command import add_ray
    from server.config import add_arguments

    serve = commands.add_parser(
        "serve", help="serve the page and the API", usage="vivant serve [OPTION ...]"
    )
    add_arguments(serve)
    add_ray(serve)
    serve.set_defaults(run=run_serve)


def _add_render(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    render = commands.add_parser("render", help="make a film of a portrait that speaks")
    render.add_argument("portrait", type=Path, metavar="PORTRAIT", help="a picture of a face")
    _add_speech(render)
    render.add_argument(
        "--script", type=Path, metavar="FILE", help=".txt, .md or .srt, with marks as in --text"
    )
    render.add_argument("--motion", type=Path, metavar="FILE", help="Live Link Face .csv or .npz")
    render.add_argument("--audio", type=Path, metavar="FILE", help="the sound to go with --motion")
    render.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.mp4")
    render.add_argument("--size", type=_whole(256, 1024, even=True), default=512, help="pixels")
    render.add_argument("--fps", type=_whole(10, 60), default=25, help="pictures a second")
    render.add_argument(
        "--background",
        default="keep",
        metavar="VALUE",
        help="keep, blur, green, transparent (.webm), a colour (#336699, navy) or a picture file",
    )
    add_marks(render)
    render.set_defaults(run=run_render)


def _add_motion(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    motion = commands.add_parser("motion", help="write the motion of speech, without pictures")
    _add_speech(motion)
    motion.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.csv|npz")
    motion.set_defaults(run=run_motion)


def _add_speech(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "speech", type=Path, nargs="?", metavar="AUDIO", help="any audio or video file"
    )
    command.add_argument("--text", help="say this instead of AUDIO")
    command.add_argument("--voice", default="auto", help="for --text; see `vivant voices`")
    command.add_argument("--seed", type=_whole(0, 2**31 - 1), default=0, help="of head and blinks")
    expression = command.add_argument_group("expression")
    expression.add_argument(
        "--emotion",
        default="neutral",
        help="neutral, happy, sad, angry, surprised, fearful, disgusted, or auto (by the voice)",
    )
    expression.add_argument("--intensity", type=_number, default=0.6, help="of the emotion, 0 to 1")
    expression.add_argument("--articulation", type=_number, default=1.0, help="of jaw and lips")
    expression.add_argument("--head-motion", type=_number, default=1.0, help="0 keeps it still")
    expression.add_argument("--blink-rate", type=_number, default=15.0, help="blinks a minute")
    expression.add_argument(
        "--gaze",
        type=_gaze,
        default="viewer",
        help="viewer, away or degrees to the right and up: --gaze=-10,5",
    )
    command.add_argument("--steps", type=int, choices=(1, 2, 4), help="of the diffusion sampler")


def _add_portrait(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    portrait = commands.add_parser("portrait", help="check a picture, look after uploaded ones")
    actions = portrait.add_subparsers(required=True, metavar="ACTION")
    check = actions.add_parser("check", help="tell whether a picture can become a portrait")
    check.add_argument("image", type=Path, metavar="IMAGE")
    check.add_argument("--json", action="store_true", help="for programs")
    check.set_defaults(run=run_portrait_check)
    add_uploads(actions)


def _whole(low: int, high: int, *, even: bool = False) -> Callable[[str], int]:
    """Returns an argparse type for whole numbers from `low` to `high`."""

    def parse(text: str) -> int:
        kind = "an even number" if even else "a whole number"
        message = f"{text!r} is not {kind} from {low} to {high}"
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(message) from None
        if not low <= number <= high or (even and number % 2):
            raise argparse.ArgumentTypeError(message)
        return number

    return parse


def _number(text: str) -> float:
    """Reads a number; whether it is possible, the style says."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None


def _gaze(text: str) -> str | tuple[float, float]:
    """Reads `10,-5` as two numbers and leaves words alone."""
    right, comma, up = text.partition(",")
    return (_number(right), _number(up)) if comma else text


def _style(options: argparse.Namespace) -> MotionStyle:
    """Returns how the portrait is to move.

    Raises:
        VivantError: a value is impossible.
    """
    from streaming_model.motion.style import MotionStyle

    try:
        return MotionStyle(
            emotion=options.emotion,
            intensity=options.intensity,
            articulation=options.articulation,
            head_motion=options.head_motion,
            blink_rate=options.blink_rate,
            gaze_target=options.gaze,
        )
    except ValueError as error:
        raise VivantError(f"Impossible expression: {error}.") from None


def _check_sources(options: argparse.Namespace) -> None:
    names = ("speech", "text", "script", "motion")
    if sum(getattr(options, name) is not None for name in names) != 1:
        raise VivantError("Give exactly one of AUDIO, --text, --script and --motion.")
    if options.audio and not options.motion:
        raise VivantError("--audio goes with --motion; give the sound as AUDIO otherwise.")


def _script(options: argparse.Namespace) -> Script | None:
    """Returns the script that is to be read; None where nothing is, or a text without marks."""
    from server.presenter.command import read_text
    from server.presenter.script import format_of, parse_script
    from server.voice.catalog import list_voices

    path: Path | None = options.script
    source, name = (options.text, "--text") if path is None else (read_text(path), str(path))
    if source is None:
        return None
    voices = {voice.name for voice in list_voices()}
    script = parse_script(
        source,
        "text" if path is None else format_of(path.name),
        knows_voice=lambda voice: voice in voices or voice.startswith("openai:"),
    )
    if path is None and not script.notices and not any(map(_has_marks, script.sentences)):
        return None
    for notice in script.notices:
        _warn(f"{name}:{notice.line}:{notice.column}: {notice.message}")
    if not script.sentences:
        raise VivantError(f"There is nothing to say in '{name}'.")
    return script


def _has_marks(sentence: Sentence) -> bool:
    return bool(sentence.marks)


def _film_from_script(
    script: Script, avatar: Avatar, options: argparse.Namespace, marks: FilmMarks
) -> float:
    from server.direction import Direction
    from server.presenter.film import ScriptSound, render_script
    from server.voice.catalog import choose_voice, open_voice

    sound = ScriptSound(
        script,
        voice=choose_voice() if options.voice == "auto" else options.voice,
        open_voice=open_voice,
        direction=Direction(_style(options)),
        warn=_warn,
    )
    with progress_bar("Rendering", None) as progress:
        return render_script(
            avatar, sound, options.output, seed=options.seed, marks=marks, progress=progress
        )


def _film_from_speech(avatar: Avatar, options: argparse.Namespace, marks: FilmMarks) -> float:
    from server.offline import render_speech

    blocks, seconds = _speech(options)
    with progress_bar("Rendering", seconds) as progress:
        return render_speech(
            avatar,
            blocks,
            options.output,
            seed=options.seed,
            style=_style(options),
            marks=marks,
            progress=progress,
        )


def _film_from_motion(avatar: Avatar, options: argparse.Namespace, marks: FilmMarks) -> float:
    from server.offline import file_blocks, render_motion
    from streaming_model.motion_files import read_motion

    motion = read_motion(options.motion)
    sound = file_blocks(options.audio) if options.audio else ()
    with progress_bar("Rendering", len(motion) / 25) as progress:
        return render_motion(
            avatar, motion, options.output, sound=sound, marks=marks, progress=progress
        )


def _speech(options: argparse.Namespace) -> tuple[Iterator[AlignedAudio], float | None]:
    """Returns the speech asked for and its length in seconds where that is known."""
    from server.media_files import AudioFile
    from server.offline import file_blocks, text_blocks

    if (options.text is None) == (options.speech is None):
        raise VivantError("Give exactly one of AUDIO and --text.")
    if options.text is None:
        with AudioFile(options.speech) as file:
            seconds = file.seconds
        return file_blocks(options.speech), seconds
    if not options.text.strip():
        raise AudioError("The text is empty: there is nothing to say.")
    return text_blocks(options.text, _voice(options.voice), warn=_warn), None


def _voice(name: str) -> Voice:
    from server.voice.catalog import choose_voice, open_voice

    return open_voice(choose_voice() if name == "auto" else name)


def _require_folder(out: Path) -> None:
    if not out.parent.is_dir():
        raise VivantError(f"There is no folder '{out.parent}' to write '{out.name}' in.")


def _warn(sentence: str) -> None:
    print(f"vivant: {sentence}", file=sys.stderr)
