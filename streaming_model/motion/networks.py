"""The shipped networks as processors run them: audio encoder and motion denoiser, batched.

The encoder is compiled loops, the denoiser a graph for onnxruntime, whose layers are modulated by
the sampler's step; that is worked out once for each.

One thread each: more spin against each other on a busy machine. Knows nothing of streams.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from streaming_model.audio.streaming_encoder import StreamingEncoder
from streaming_model.errors import ModelFileError
from streaming_model.motion.contacts import NETWORK_SIZE
from streaming_model.motion.cues import Cues, load_cues
from streaming_model.motion.filmed import FilmedMouth, load_filmed
from streaming_model.motion.graphs import open_graph
from streaming_model.motion.listener import Listener, load_listener
from streaming_model.motion.presence import Presence, load_presence
from streaming_model.motion.smoothing import LOW_PASS
from streaming_model.motion.style import FIRST_STYLE_NAMES, STYLE_NAMES
from streaming_model.motion_space import MOTION_SIZE

Floats = NDArray[np.float32]

DEFAULT_FOLDER: Final = Path(__file__).parents[1] / "weights" / "motion"


@dataclass(frozen=True, slots=True)
class Condition:
    """What the denoiser is told besides the noisy frames; K history, N new, L lookahead.

    Attributes:
        history: [batch, K, size] network motion already given, oldest first.
        history_known: [batch, K] 1 where there was a frame.
        audio: [batch, K + N + L, audio_size].
        style: [batch, len(style_names)] in the order of the settings' `style_names`.
        activity: [batch] int64.
    """

    history: Floats
    history_known: Floats
    audio: Floats
    style: Floats
    activity: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Settings:
    """What `serving.json` says beside the graphs; see `training.export`.

    `style_names` are the numbers that the network takes as its style; files of older weights
    name none and know the first four of `STYLE_NAMES`. `gain` is how much larger each number of
    what few steps make is given, beside what many make; the history stays as it was made.
    `low_pass` has the time constants that calm head and upper face: the fewer steps, the longer.
    """

    history_frames: int
    most_new_frames: int
    most_lookahead_frames: int
    audio_size: int
    encoder_state_size: int
    steps: int
    mean: Floats
    scale: Floats
    gain: Floats
    style_names: tuple[str, ...] = FIRST_STYLE_NAMES
    guidance: float = 0.0
    low_pass: tuple[float, float] = LOW_PASS


class Networks(Protocol):
    """Encoder and denoiser, wherever they run.

    Attributes:
        settings: what the weights were trained for.
        presence: the second look for voices, None where the weights have none.
        listener: hears contacts of the lips, None where the weights have none.
        filmed: the mouth that `captured` asks for, None where the weights have none.
        cues: what lips do in a sound, of encoder and listener, None where the weights have none.
    """

    settings: Settings
    presence: Presence | None
    listener: Listener | None
    filmed: FilmedMouth | None
    cues: Cues | None

    def encode(self, mel: Floats, state: Floats) -> tuple[Floats, Floats]:
        """Maps [batch, 4 * frames, 80] and [batch, state] to features and the next state."""
        ...

    def denoise(self, x_t: Floats, t: float, step_size: float, condition: Condition) -> Floats:
        """Maps [batch, N, size] noisy frames at flow time `t` to clean ones."""
        ...


class MotionNetworks:
    """The networks and their settings; implements `Networks`.

    Args:
        folder: holds `encoder`, `denoiser.onnx`, `modulation.onnx` and `serving.json`.
        guidance: scale of the guidance to imitate; the model's own default if None.

    Raises:
        ModelFileError: a file is missing or damaged.
    """

    def __init__(self, folder: Path = DEFAULT_FOLDER, *, guidance: float | None = None) -> None:
        self.settings = read_settings(folder / "serving.json")
        self.guidance = self.settings.guidance if guidance is None else guidance
        self.presence: Presence | None = load_presence(folder, audio_size=self.settings.audio_size)
        self.filmed: FilmedMouth | None = load_filmed(folder, audio_size=self.settings.audio_size)
        self.listener: Listener | None = load_listener(folder)
        self.cues: Cues | None = load_cues(folder, audio_size=self.settings.audio_size)
        self._encoder = StreamingEncoder(folder / "encoder")
        self._denoiser = open_graph(folder / "denoiser.onnx")
        self._modulation = open_graph(folder / "modulation.onnx")
        self._steps: dict[tuple[float, float], Floats] = {}

    def encode(self, mel: Floats, state: Floats) -> tuple[Floats, Floats]:
        """Maps [batch, 4 * frames, 80] and [batch, state] to features and the next state.

        The features are [batch, frames, audio_size].
        """
        return self._encoder.encode(mel, state)

    def denoise(self, x_t: Floats, t: float, step_size: float, condition: Condition) -> Floats:
        """Maps [batch, N, size] noisy frames at flow time `t` to clean ones."""
        inputs = {
            "x_t": x_t,
            "history": condition.history,
            "history_known": condition.history_known,
            "audio": condition.audio,
            "style": condition.style,
            "activity": condition.activity,
            "modulation": self._modulate(t, step_size),
        }
        x0: Floats = self._denoiser.run(None, inputs)[0]
        return x0

    def _modulate(self, t: float, step_size: float) -> Floats:
        """Returns [6 * layers, width] what the denoiser is told of a step of the sampler."""
        step = t, step_size
        if step not in self._steps:
            values = {"t": t, "step_size": step_size, "guidance": self.guidance}
            inputs = {name: np.array([value], np.float32) for name, value in values.items()}
            self._steps[step] = self._modulation.run(None, inputs)[0]
        return self._steps[step]


def read_settings(path: Path) -> Settings:
    """Returns the settings in `serving.json`.

    Raises:
        ModelFileError: the file is missing or damaged.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        head, face = values.get("low_pass", LOW_PASS)
        settings = Settings(
            **{
                **values,
                "mean": np.array(values["mean"], np.float32),
                "scale": np.array(values["scale"], np.float32),
                "gain": np.array(values.get("gain", np.ones(len(values["scale"]))), np.float32),
                "low_pass": (float(head), float(face)),
                "style_names": tuple(values.get("style_names", FIRST_STYLE_NAMES)),
            }
        )
    except FileNotFoundError as error:
        raise ModelFileError(f"The motion model's file {path} is missing.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ModelFileError(f"The motion model's file {path} is damaged: {error}") from error
    sizes = {values.shape for values in (settings.mean, settings.scale, settings.gain)}
    if sizes not in ({(MOTION_SIZE,)}, {(NETWORK_SIZE,)}):
        raise ModelFileError(
            f"The motion model's file {path} is for {len(settings.scale)} numbers, "
            f"not {MOTION_SIZE} or {NETWORK_SIZE}."
        )
    if unknown := sorted(set(settings.style_names) - set(STYLE_NAMES)):
        raise ModelFileError(f"The motion model's file {path} has an unknown style {unknown[0]!r}.")
    return settings
