"""The server's settings: flags over environment over a TOML file over defaults.

One dataclass is the single source: each field gives a flag `--max-sessions`, a variable
`VIVANT_MAX_SESSIONS` and a TOML key `max_sessions`. It builds nothing.
"""

from __future__ import annotations

import argparse
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Literal, Self
from urllib.parse import urlsplit

from server.access.keys import config_folder, keys_path
from server.connections.limits import ConnectionLimits
from server.consent.options import DISTANCE, ConsentOptions
from server.consent.retention import Retention
from server.consent.rights import Demand
from server.logs import LEVELS
from server.marks.badge import BADGE_CORNER, BADGE_TEXT, CORNERS, check_badge
from server.marks.options import MarkOptions
from server.outputs.options import OutputOptions
from server.secrecy import without_passwords
from server.voice.cache import cache_folder
from streaming_model.errors import VivantError
from streaming_model.motion.style import EMOTION_CHOICES, MotionStyle

PREFIX = "VIVANT_"
VIDEO_CODECS = ("vp8", "h264", "vp9", "av1")


class SettingsError(VivantError):
    """A setting is unknown or has an impossible value."""

    code = "settings_invalid"


def _whole(low: int, high: int, *, even: bool = False) -> Callable[[Any], int]:
    def convert(value: Any) -> int:  # noqa: ANN401 - from TOML it may be anything
        number = int(str(value))
        if isinstance(value, bool) or not low <= number <= high or (even and number % 2):
            raise ValueError
        return number

    convert.__doc__ = f"{'an even' if even else 'a whole'} number from {low} to {high}"
    return convert


def _seconds(value: Any) -> float:  # noqa: ANN401
    """a number of seconds, 1 to 86400"""
    number = float(str(value))
    if isinstance(value, bool) or not 1 <= number <= 86_400:
        raise ValueError
    return number


def _seconds_or_never(value: Any) -> float:  # noqa: ANN401
    """a number of seconds, 1 to 86400, or 0 for never"""
    return 0.0 if str(value) in ("0", "0.0") else _seconds(value)


def _hours_or_never(value: Any) -> float:  # noqa: ANN401
    """a number of hours, up to 87600, or 0 for never"""
    number = float(str(value))
    if isinstance(value, bool) or not 0 <= number <= 87_600:
        raise ValueError
    return number


def _days_or_never(value: Any) -> float:  # noqa: ANN401
    """a number of days, up to 36500, or 0 for never"""
    number = float(str(value))
    if isinstance(value, bool) or not 0 <= number <= 36_500:
        raise ValueError
    return number


def _ports(value: Any) -> range:  # noqa: ANN401
    """a range of ports such as 50000-50100"""
    low, high = (int(number) for number in value.split("-"))
    if not 1 <= low <= high <= 65_535:
        raise ValueError
    return range(low, high + 1)


def _share(value: Any) -> float:  # noqa: ANN401
    """a share from 0.1 to 1"""
    number = float(str(value))
    if isinstance(value, bool) or not 0.1 <= number <= 1:
        raise ValueError
    return number


def _number(low: float, high: float) -> Callable[[Any], float]:
    def convert(value: Any) -> float:  # noqa: ANN401 - from TOML it may be anything
        number = float(str(value))
        if isinstance(value, bool) or not low <= number <= high:
            raise ValueError
        return number

    convert.__doc__ = f"a number from {low:g} to {high:g}"
    return convert


def _any_text(value: Any) -> str:  # noqa: ANN401
    """text"""
    if not isinstance(value, str):
        raise ValueError
    return value


def _address(value: Any) -> str:  # noqa: ANN401
    """an address such as http://127.0.0.1:11434/v1, without a user or password in it"""
    url = urlsplit(value)
    if url.scheme not in ("http", "https") or not url.hostname or url.username or url.password:
        raise ValueError
    return str(value)


def _key(value: Any) -> str:  # noqa: ANN401
    """a key without spaces and other than plain characters"""
    if not (isinstance(value, str) and value.isascii() and value.isprintable()):
        raise ValueError
    if " " in value or not value:
        raise ValueError
    return value


def _long_key(value: Any) -> str:  # noqa: ANN401
    """a key of at least 32 plain characters without spaces, as `openssl rand -hex 32` makes one"""
    if len(_key(value)) < 32:
        raise ValueError
    return str(value)


def _yes(value: Any) -> bool:  # noqa: ANN401
    """yes or no"""
    if isinstance(value, bool):
        return value
    return {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}[value]


def _rate(value: Any) -> float:  # noqa: ANN401
    """a number of requests a second, 1 to 100000, or 0 for no limit"""
    number = float(str(value))
    if isinstance(value, bool) or not (number == 0 or 1 <= number <= 100_000):
        raise ValueError
    return number


def _gaze(value: Any) -> str | tuple[float, float]:  # noqa: ANN401
    """viewer, away or degrees to the right and up, such as 10,-5"""
    if value in ("viewer", "away"):
        return str(value)
    right, up = value.split(",") if isinstance(value, str) else value
    return MotionStyle(gaze_target=(float(right), float(up))).gaze_target


def _choice(*options: str) -> Callable[[Any], str]:
    def convert(value: Any) -> str:  # noqa: ANN401
        if value not in options:
            raise ValueError
        return str(value)

    convert.__doc__ = "one of " + ", ".join(options)
    return convert


def _barge_in(value: Any) -> Literal["on", "off"] | int:  # noqa: ANN401
    """on, off or a number of milliseconds from 0 to 10000"""
    if value in ("on", "off"):
        return "on" if value == "on" else "off"
    number = int(str(value))
    if isinstance(value, bool) or not 0 <= number <= 10_000:
        raise ValueError
    return number


def _text(value: Any) -> str:  # noqa: ANN401
    """text that is not empty"""
    if not isinstance(value, str) or not value:
        raise ValueError
    return value


def _texts(value: Any) -> tuple[str, ...]:  # noqa: ANN401
    """addresses such as stun:host:port, separated by commas"""
    parts = value.split(",") if isinstance(value, str) else list(value)
    texts = tuple(str(part).strip() for part in parts if str(part).strip())
    if any(not text.startswith(("stun:", "turn:", "turns:")) for text in texts):
        raise ValueError
    return texts


def _video_codecs(value: Any) -> tuple[str, ...]:  # noqa: ANN401
    """some of vp8, h264, vp9, av1, the best first, separated by commas"""
    names = [str(part).strip() for part in (value.split(",") if isinstance(value, str) else value)]
    if not names or len(set(names)) < len(names) or not set(names) <= set(VIDEO_CODECS):
        raise ValueError
    return tuple(names)


def _hosts(value: Any) -> tuple[str, ...]:  # noqa: ANN401
    """names of hosts such as *.example.org, separated by commas; * for any, none for nobody"""
    parts = value.split(",") if isinstance(value, str) else list(value)
    hosts = tuple(str(part).strip().lower() for part in parts if str(part).strip())
    if not hosts or any("/" in host or " " in host for host in hosts):
        raise ValueError
    return () if hosts == ("none",) else hosts


def _origins(value: Any) -> tuple[str, ...]:  # noqa: ANN401
    """origins such as https://example.org, without a path, or * for any"""
    parts = ",".join(value) if isinstance(value, list) else value
    origins = tuple(part.strip().lower() for part in parts.split(",") if part.strip())
    for origin in origins:
        url = urlsplit(origin)
        is_whole = url.scheme in ("http", "https") and origin == f"{url.scheme}://{url.netloc}"
        if origin != "*" and not (is_whole and url.hostname and "@" not in url.netloc):
            raise ValueError
    if not origins:
        raise ValueError
    return origins


def _device(value: Any) -> str:  # noqa: ANN401
    """cpu, cuda (or cuda:1, and so on) or auto"""
    name = str(value).strip().lower()
    if not re.fullmatch(r"cpu|auto|cuda(:\d{1,3})?", name):
        raise ValueError
    return name


def _steps(value: Any) -> int | None:  # noqa: ANN401
    """1, 2 or 4"""
    number = int(str(value))
    if number not in (1, 2, 4):
        raise ValueError
    return number


def _setting(
    default: Any,  # noqa: ANN401
    convert: Callable[[Any], Any],
    description: str,
    *,
    is_repeatable: bool = False,
) -> Any:  # noqa: ANN401 - as dataclasses.field
    metadata = {"convert": convert, "help": description, "is_repeatable": is_repeatable}
    return field(default=default, metadata=metadata)


def _switch(description: str) -> Any:  # noqa: ANN401 - as dataclasses.field
    """A setting whose flag takes no value."""
    metadata = {"convert": _yes, "help": description, "is_switch": True}
    return field(default=False, metadata=metadata)


def _secret(
    description: str, convert: Callable[[Any], str] = _key, *, has_flag: bool = False
) -> Any:  # noqa: ANN401 - as field
    """A setting that is never printed, and has no flag, which `ps` would show."""
    metadata = {"convert": convert, "help": description, "is_secret": True, "has_flag": has_flag}
    return field(default=None, repr=False, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set; see each field's help."""

    host: str = _setting("127.0.0.1", _text, "address to listen on")
    port: int = _setting(8080, _whole(0, 65_535), "port to listen on; 0 picks a free one")
    portrait: str = _setting("mona_lisa", _text, "a built-in portrait or a picture file")
    voice: str = _setting("auto", _text, "a voice of `vivant voices`; auto picks by speed")
    background: str = _setting(
        "keep",
        _text,
        "keep, blur, green, transparent, a colour (#336699, navy) or a picture file",
    )
    size: int = _setting(512, _whole(256, 1024, even=True), "side of the video in pixels")
    fps: int = _setting(25, _whole(10, 60), "pictures a second")
    seed: int = _setting(0, _whole(0, 2**31 - 1), "decides head motion, blinks and gaze")
    steps: int | None = _setting(None, _steps, "sampler steps; the model's own if not given")
    device: str = _setting(
        "cpu", _device, "where motion and pictures are made: cpu, cuda, or auto for a card if any"
    )
    chunk_frames: int = _setting(2, _whole(1, 5), "motion frames made per call of the sampler")
    lookahead_frames: int = _setting(2, _whole(0, 4), "motion frames of speech heard ahead")
    max_sessions: int | None = _setting(
        None, _whole(1, 1000), "sessions at once; as many as the machine holds if not given"
    )
    core_share: float = _setting(0.8, _share, "share of the processor cores for sessions")
    queue_length: int = _setting(
        20, _whole(0, 1000), "clients that may wait while all sessions are in use"
    )
    idle_timeout: float = _setting(
        30.0, _seconds, "seconds after which sessions end that nobody is connected to"
    )
    resume_timeout: float = _setting(
        10.0, _seconds, "seconds for which a lost connection can be resumed"
    )
    quiet_timeout: float = _setting(
        600.0,
        _seconds_or_never,
        "seconds after which sessions end in which nobody does anything; 0 for never",
    )
    max_time: float = _setting(
        0.0, _seconds_or_never, "seconds that a session may last; 0 for no limit"
    )
    drain_timeout: float = _setting(
        0.0,
        _seconds_or_never,
        "seconds that sessions have to finish after SIGTERM, while no new ones begin; 0 for none",
    )
    allow_origin: tuple[str, ...] = _setting(
        (),
        _origins,
        "another web site whose pages may use this server, as https://example.org, or * for any; "
        "may be given several times",
        is_repeatable=True,
    )
    insecure: bool = _switch("let everybody who reaches the server use it, without a key")
    require_key: bool = _switch("ask for a key on loopback, too, as behind a proxy")
    keys_file: Path = field(
        default_factory=keys_path,
        metadata={"convert": Path, "help": "where `vivant keys` keeps the hashes of keys"},
    )
    quotas: Path | None = field(
        default=None,
        metadata={"convert": Path, "help": "TOML with how many sessions each key may have at once"},
    )
    tls_cert: Path | None = field(
        default=None, metadata={"convert": Path, "help": "certificate (PEM) to serve HTTPS with"}
    )
    tls_key: Path | None = field(
        default=None, metadata={"convert": Path, "help": "its key (PEM, not encrypted)"}
    )
    tls_self_signed: bool = _switch(
        "serve HTTPS with a certificate of our own, so that microphones work in your network"
    )
    tls_dir: Path = field(
        default_factory=lambda: config_folder() / "tls",
        metadata={"convert": Path, "help": "where that certificate is kept"},
    )
    api_key: str | None = _secret("one more key, that need not be kept in a file", _long_key)
    token_secret: str | None = _secret("signs tokens; random if not given", _long_key)
    token_time: float = _setting(3_600.0, _seconds, "seconds that the token of a session lasts")
    rate_limit: float = _setting(
        50.0, _rate, "requests a second for each address and each key; 0 for no limit"
    )
    max_connections: int = _setting(
        1_000, _whole(10, 100_000), "connections at once, WebSockets among them"
    )
    address_connections: int = _setting(
        100, _whole(1, 100_000), "of these from one address; this machine's own are not counted"
    )
    header_timeout: float = _setting(
        10.0, _seconds, "seconds for a request's headers, and for the handshake of TLS"
    )
    body_timeout: float = _setting(
        20.0, _seconds, "seconds for a body or a message, beside one for each 4 kB of it"
    )
    send_timeout: float = _setting(
        30.0, _seconds, "seconds that a client may take nothing of what waits for it"
    )
    message_rate: float = _setting(
        1_000.0, _number(10, 100_000), "messages a second that are read from a WebSocket"
    )
    max_viewers: int = _setting(
        100, _whole(1, 10_000), "viewers that a session may have over WebRTC"
    )
    max_connecting: int = _setting(
        64, _whole(1, 10_000), "of all viewers, how many may be about to connect"
    )
    connect_timeout: float = _setting(20.0, _seconds, "seconds that a viewer has to connect")
    udp_ports: range | None = _setting(
        None, _ports, "UDP ports for WebRTC, such as 50000-50100; the system's if not given"
    )
    ice_servers: tuple[str, ...] = _setting((), _texts, "STUN and TURN servers")
    ice_username: str | None = _setting(None, _text, "user name for the TURN servers")
    ice_credential: str | None = _secret("password for the TURN servers", _text, has_flag=True)
    turn_secret: str | None = _secret(
        "secret shared with the TURN servers, instead: viewers get credentials that expire"
    )
    turn_time: float = _setting(
        3600.0, _seconds, "seconds for which such credentials serve to begin a connection"
    )
    barge_in: Literal["on", "off"] | int = _setting(
        "on", _barge_in, "whether a viewer who speaks interrupts: on, off, or after so many ms"
    )
    video_codecs: tuple[str, ...] = _setting(
        ("vp8", "h264"),
        _video_codecs,
        "video codecs to agree on, the best first: vp8, h264, vp9, av1 (default: vp8,h264)",
    )
    emotion: str = _setting(
        "neutral", _choice(*EMOTION_CHOICES), "emotion of the face; auto follows the voice"
    )
    intensity: float = _setting(0.6, _number(0, 1), "strength of the emotion")
    articulation: float = _setting(1.0, _number(0, 3), "strength of jaw and lips")
    head_motion: float = _setting(1.0, _number(0, 3), "strength of nods, turns and sway")
    blink_rate: float = _setting(15.0, _number(0, 120), "blinks a minute")
    gaze: str | tuple[float, float] = _setting(
        "viewer", _gaze, "where to look: viewer, away or degrees to the right and up, as 10,-5"
    )
    brain: str = _setting(
        "auto",
        _choice("auto", "demo", "chat", "external"),
        "who answers in conversations: demo, chat (with --brain-url) or external (a client)",
    )
    brain_url: str | None = _setting(
        None, _address, "an OpenAI-compatible chat endpoint, up to and including /v1"
    )
    brain_model: str = _setting("gpt-4o-mini", _text, "the model to ask there")
    brain_key: str | None = _secret("key for it; OPENAI_API_KEY serves for api.openai.com")
    brain_prompt: str | None = _setting(
        None, _text, "system prompt; {portrait} in it is the portrait's name"
    )
    brain_fallback: str = _setting(
        "I am sorry, I lost my train of thought. Could you say that again?",
        _any_text,
        "said when the brain fails; empty for silence",
    )
    brain_timeout: float = _setting(20.0, _seconds, "seconds to wait for its first word")
    transcriber: str = _setting(
        "auto",
        _choice("auto", "endpoint", "sphinx", "off"),
        "who turns viewers' speech into text: endpoint (with --transcriber-url), sphinx or off",
    )
    transcriber_url: str | None = _setting(
        None, _address, "an OpenAI-compatible transcription endpoint, up to and including /v1"
    )
    transcriber_model: str = _setting("whisper-1", _text, "the model to ask there")
    transcriber_key: str | None = _secret("key for it; OPENAI_API_KEY serves for api.openai.com")
    bitrate: int = _setting(1_500, _whole(100, 20_000), "video bit rate in kbit/s")
    cache_dir: Path = field(
        default_factory=cache_folder,
        metadata={"convert": Path, "help": "where uploads and fitted portraits are kept"},
    )
    storage: str | None = _setting(
        None,
        _text,
        "where portraits, backgrounds and recordings lie for all workers: an address of fsspec's, "
        "s3://BUCKET/PREFIX (vivant[s3]) or file:///FOLDER",
    )
    consent: Literal["auto", "required", "asked"] = _setting(
        "auto",
        _choice("auto", "required", "asked"),
        "whether uploaded pictures need a statement of the right to use them: required, asked for "
        "or auto (asked on loopback without keys, required elsewhere)",
    )
    consent_keep: float = _setting(
        365.0, _days_or_never, "days that a statement outlives its picture; 0 for not at all"
    )
    consent_address: bool = _switch("keep with a statement the address that it came from")
    keep_portraits: Literal["asked", "always", "never"] = _setting(
        "asked",
        _choice("asked", "always", "never"),
        "whether uploaded portraits outlive their sessions: where it is asked for, always, never",
    )
    portrait_keep: float = _setting(
        720.0, _hours_or_never, "hours after which also kept portraits are deleted; 0 for never"
    )
    portrait_wait: float = _setting(
        300.0, _seconds, "seconds that an uploaded portrait stays which no session shows"
    )
    deny_list: Path = field(
        default_factory=lambda: config_folder() / "denied-faces.json",
        metadata={"convert": Path, "help": "where `vivant deny` keeps whose face may not be used"},
    )
    deny_distance: float = _setting(
        DISTANCE, _number(0.05, 10), "how near two embeddings are of the same face"
    )
    face_embedder: Path | None = field(
        default=None,
        metadata={
            "convert": Path,
            "help": "ONNX net for the deny-list; the shipped one if not given",
        },
    )
    no_ledger: bool = _switch("keep no ledger of sessions: `vivant verify` then names none")
    ledger_keep: float = _setting(
        365.0, _days_or_never, "days that the ledger of sessions is kept; 0 for never deleted"
    )
    recordings_dir: Path | None = field(
        default=None,
        metadata={
            "convert": Path,
            "help": "where recordings are kept; in the cache folder if not given",
        },
    )
    recording_time: float = _setting(14_400.0, _seconds, "seconds that a recording may last")
    recording_size: int = _setting(
        4_000, _whole(1, 1_000_000), "megabytes that a recording may have"
    )
    recording_keep: float = _setting(
        168.0, _hours_or_never, "hours after which a recording is deleted; 0 for never"
    )
    log_level: str = _setting(
        "warning", _choice(*LEVELS), "the least that is logged: debug, info, warning or error"
    )
    log_format: Literal["text", "json"] = _setting(
        "text", _choice("text", "json"), "log lines for people, text, or for programs, json"
    )
    audit_log: Path | None = field(
        default=None,
        metadata={
            "convert": Path,
            "help": "a file for who did what and when, as hashes; in the log only if not given",
        },
    )
    audit_size: int = _setting(
        100, _whole(1, 100_000), "megabytes after which another audit file is begun"
    )
    audit_keep: float = _setting(
        0.0, _days_or_never, "days after which older audit files are deleted; 0 for never"
    )
    max_outputs: int = _setting(
        4, _whole(0, 32), "recordings and pushed streams that a session may have at once"
    )
    push_hosts: tuple[str, ...] = _setting(
        ("*",), _hosts, "hosts that streams may be pushed to; none for nobody (default: *, any)"
    )

    badge_text: str = _setting(BADGE_TEXT, _text, "what the badge in the pictures says")
    badge_corner: Literal["top-right", "top-left", "bottom-right", "bottom-left"] = _setting(
        BADGE_CORNER, _choice(*CORNERS), "where the badge is"
    )
    badge_font: Path | None = field(
        default=None,
        metadata={"convert": Path, "help": "font file for the badge; needed beyond English"},
    )
    no_badge_reason: str | None = _setting(
        None, _text, "leave out the badge, and write this reason into the log"
    )
    no_watermark_reason: str | None = _setting(
        None, _text, "leave out the invisible watermark, and write this reason into the log"
    )

    no_credentials_reason: str | None = _setting(
        None, _text, "sign no films (C2PA), and write this reason into the log"
    )
    c2pa_certificate: Path | None = field(
        default=None,
        metadata={
            "convert": Path,
            "help": "certificate chain (PEM) that films are signed with; made here if not given",
        },
    )
    c2pa_key: Path | None = field(
        default=None, metadata={"convert": Path, "help": "file of its private key (PEM)"}
    )

    def marks(self) -> MarkOptions:
        """Returns how pictures are marked.

        Raises:
            BadgeError: there can be no such badge.
        """
        check_badge(self.badge_text, self.badge_font)
        return MarkOptions(
            text=self.badge_text,
            corner=self.badge_corner,
            font=self.badge_font,
            no_badge=self.no_badge_reason,
            no_watermark=self.no_watermark_reason,
            no_credentials=self.no_credentials_reason,
            certificate=self.c2pa_certificate,
            key=self.c2pa_key,
        )

    def secrets(self) -> list[str]:
        """Returns every secret that was set."""
        names = [item.name for item in fields(self) if "is_secret" in item.metadata]
        return [value for name in names if (value := getattr(self, name)) is not None]

    def outputs(self) -> OutputOptions:
        """Returns what outputs may take and where they may go."""
        return OutputOptions(
            folder=self.recordings_dir or self.cache_dir / "recordings",
            longest=self.recording_time,
            largest=1_000_000 * self.recording_size,
            kept=3600 * self.recording_keep,
            most=self.max_outputs,
            hosts=self.push_hosts,
        )

    def connections(self) -> ConnectionLimits:
        """Returns what one client's connection may take."""
        return ConnectionLimits(
            most=self.max_connections,
            most_of_address=self.address_connections,
            head=self.header_timeout,
            body=self.body_timeout,
            stalled=self.send_timeout,
            messages=self.message_rate,
        )

    def consents(self, *, is_local: bool) -> ConsentOptions:
        """Returns what happens with people's pictures; `is_local` without keys on loopback."""
        usual: Demand = "asked" if is_local else "required"
        return ConsentOptions(
            demand=usual if self.consent == "auto" else self.consent,
            retention=Retention(
                self.keep_portraits, self.portrait_wait, self.portrait_keep, self.consent_keep
            ),
            keeps_addresses=self.consent_address,
            ledger_days=self.ledger_keep,
            deny_list=self.deny_list,
            deny_distance=self.deny_distance,
            embedder=self.face_embedder,
        )

    def style(self) -> MotionStyle:
        """Returns the style of sessions that ask for none."""
        return MotionStyle(
            emotion=self.emotion,
            intensity=self.intensity,
            articulation=self.articulation,
            head_motion=self.head_motion,
            blink_rate=self.blink_rate,
            gaze_target=self.gaze,
        )

    @classmethod
    def load(cls, options: argparse.Namespace, environment: Mapping[str, str] = os.environ) -> Self:
        """Merges flags, environment, the file of `--config` and defaults, in that order.

        Raises:
            SettingsError: a value is impossible, a key is unknown or the file is unreadable.
        """
        flags = {name: getattr(options, name, None) for name in _names()}
        variables = {name: environment.get(PREFIX + name.upper()) for name in _names()}
        config = getattr(options, "config", None) or environment.get(PREFIX + "CONFIG")
        layers: list[tuple[Mapping[str, Any], Callable[[str], str]]] = [
            (flags, lambda name: "--" + name.replace("_", "-")),
            (variables, lambda name: PREFIX + name.upper()),
            (_read_file(Path(config)) if config else {}, lambda name: f"{name} in {config}"),
        ]
        values: dict[str, Any] = {}
        for source, title in reversed(layers):
            for name, value in source.items():
                if value is not None:
                    values[name] = _converted(name, value, title(name))
        return cls(**values)


# Of the settings in their order, those that begin a heading of `vivant serve --help`.
_HEADINGS: Final = {
    "host": "what is served",
    "max_sessions": "sessions",
    "allow_origin": "who may use it",
    "max_connections": "connections",
    "max_viewers": "WebRTC",
    "barge_in": "conversations",
    "video_codecs": "WebRTC",
    "emotion": "expression",
    "brain": "conversations",
    "bitrate": "WebRTC",
    "cache_dir": "pictures that are uploaded",
    "no_ledger": "marks",
    "recordings_dir": "recordings",
    "log_level": "logs",
    "max_outputs": "streams to elsewhere",
    "badge_text": "marks",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds a flag for every setting, under headings, and `--config`."""
    parser.add_argument("--config", metavar="FILE", help="a TOML file with these settings")
    headings = {title: parser.add_argument_group(title) for title in _HEADINGS.values()}
    heading: argparse._ActionsContainer = parser
    for item in fields(Settings):
        heading = headings.get(_HEADINGS.get(item.name, ""), heading)
        if not item.metadata.get("has_flag", True):
            continue
        flag = "--" + item.name.replace("_", "-")
        if "is_switch" in item.metadata:
            heading.add_argument(flag, action="store_const", const=True, help=item.metadata["help"])
            continue
        heading.add_argument(
            flag,
            metavar=item.name.split("_")[-1].upper(),
            action="append" if item.metadata.get("is_repeatable") else "store",
            help=f"{item.metadata['help']}{_default_note(item.default)}".replace("%", "%%"),
        )


def _default_note(default: object) -> str:
    is_plain = isinstance(default, (str, int, float)) and not isinstance(default, bool)
    return f" (default: {default})" if is_plain else ""


def _names() -> list[str]:
    return [item.name for item in fields(Settings)]


def _converted(name: str, value: Any, title: str) -> Any:  # noqa: ANN401
    (metadata,) = (item.metadata for item in fields(Settings) if item.name == name)
    convert = metadata["convert"]
    try:
        return convert(value)
    except (ValueError, TypeError, AttributeError, KeyError):
        wanted = convert.__doc__ if convert is not Path else "a folder"
        given = "" if "is_secret" in metadata else f", not {without_passwords(repr(value)):.200}"
        raise SettingsError(f"{title} must be {wanted}{given}.") from None


def _read_file(path: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = error.strerror or "unreadable"
        raise SettingsError(f"The settings file '{path}' cannot be read: {reason}.") from None
    except RecursionError:
        raise SettingsError(f"The settings file '{path}' is nested too deeply.") from None
    except ValueError as error:  # of the syntax, of UTF-8, or a number of thousands of digits
        raise SettingsError(f"The settings file '{path}' is not TOML: {error}.") from None
    unknown = sorted(set(values) - set(_names()))
    if unknown:
        valid = ", ".join(_names())
        raise SettingsError(f"'{path}' sets unknown {', '.join(unknown)}; valid are {valid}.")
    return values
