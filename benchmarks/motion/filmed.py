"""Clips to look at: feelings, whisper, haste, other languages and song, with contact sheets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from benchmarks.motion.clips import Motion, Samples
from benchmarks.motion.generation import Setting, generate
from benchmarks.motion.results import Results
from benchmarks.renderer.sheets import tiled
from server.ingest import convert
from server.offline import render_motion
from streaming_model.avatar import BUILTIN_PORTRAIT, Avatar
from streaming_model.media import MOTION_FPS, SAMPLE_RATE
from streaming_model.motion import MotionStyle
from streaming_model.portrait import make_portrait
from streaming_model.renderer import Renderer
from training.corpus import FLITE_HELD_OUT_VOICES, Utterance, speak_with_flite, written_texts
from training.corpus.espeak import speak_with_espeak
from training.corpus.texts import world_texts
from training.singing import sing, whisper

FEELINGS: Final = ("neutral", "happy", "sad", "angry", "surprised")
INTENSITY: Final = 0.8
LANGUAGES: Final = {"German": ("de", "de"), "Mandarin": ("zh", "cmn-latn-pinyin")}
HASTE: Final = 1.6  # times as fast as the voice speaks by itself
LONGEST_S: Final = 8
SIZE: Final = 384  # pixels of the clips' side
TILES: Final = 14  # pictures of a contact sheet
TILE: Final = 168  # pixels


@dataclass(frozen=True, slots=True)
class Scene:
    """One clip to make: name, what is heard and how it is performed."""

    name: str
    samples: Samples
    style: MotionStyle


def scenes(spoken: Sequence[Utterance]) -> Iterator[Scene]:
    """Yields every scene; `spoken` are utterances of a natural voice.

    Raises:
        OSError: Flite or eSpeak NG is not installed.
    """
    rng = np.random.default_rng(11)
    plain = np.concatenate([utterance.samples for utterance in spoken])
    for feeling in FEELINGS:
        yield Scene(feeling, plain, MotionStyle(emotion=feeling, intensity=INTENSITY))
    hushed = np.concatenate([whisper(utterance, rng=rng).samples for utterance in spoken])
    yield Scene("whispering", hushed, MotionStyle(whisper=1.0))
    hasty = speak_with_flite(
        written_texts(held_out=True)[0], voice=FLITE_HELD_OUT_VOICES[0], stretch=1 / HASTE
    )
    yield Scene("fast", hasty.samples, MotionStyle())
    for name, (language, voice) in LANGUAGES.items():
        said = speak_with_espeak(" ".join(world_texts(language)[:3]), voice=voice)
        yield Scene(name, said.samples, MotionStyle())
    sung = sing(max(spoken, key=lambda utterance: len(utterance.samples)), rng=rng)
    yield Scene("singing", sung.samples, MotionStyle())


def film_scenes(
    results: Results, setting: Setting, spoken: Sequence[Utterance], folder: Path
) -> Iterator[str]:
    """Writes an MP4 file of each scene, and its contact sheet; yields what it is doing."""
    folder.mkdir(parents=True, exist_ok=True)
    portrait = make_portrait(BUILTIN_PORTRAIT)
    avatar = Avatar(portrait, setting.generator(), size=SIZE)
    renderer = Renderer(portrait, size=SIZE)
    for scene in scenes(spoken):
        yield f"clip, {scene.name}"
        samples = scene.samples[: LONGEST_S * SAMPLE_RATE]
        (motion,) = generate(setting, [samples], style=scene.style)
        sound = [convert(samples, sample_rate=SAMPLE_RATE)]
        path = folder / f"{scene.name.lower()}.mp4"
        render_motion(avatar, motion, path, sound=sound, progress=lambda seconds: None)
        sheet = contact_sheet(renderer, motion)
        (folder / f"{scene.name.lower()}.png").write_bytes(sheet)
        results.pictures[f"Clip, {scene.name}"] = sheet


def contact_sheet(renderer: Renderer, motion: Motion) -> bytes:
    """Returns frames at even distances, each with its second, as PNG."""
    shown = np.linspace(0, len(motion) - 1, TILES).round().astype(int)
    pictures = {f"{at / MOTION_FPS:.1f} s": renderer.render(motion[at]) for at in shown}
    done, data = cv2.imencode(".png", cv2.cvtColor(tiled(pictures, TILE), cv2.COLOR_RGB2BGR))
    assert done
    return data.tobytes()
