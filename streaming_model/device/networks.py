"""The shipped networks on a torch device: the same weights as the graphs for processors.

Batches of all sessions that are due together; on a GPU each size of batch is a CUDA graph of its
own. Behind the same port as `motion.networks`, so that `MotionGenerator` knows no difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streaming_model.audio.encoder import AudioEncoder
from streaming_model.audio.features import MEL_BINS, MELS_PER_FRAME
from streaming_model.device.graphs import Array, Buckets
from streaming_model.errors import ModelFileError
from streaming_model.motion.cues import Cues, load_cues
from streaming_model.motion.denoiser import DenoiserInputs, MotionDenoiser
from streaming_model.motion.filmed import FilmedMouth, load_filmed
from streaming_model.motion.listener import Listener, load_listener
from streaming_model.motion.networks import DEFAULT_FOLDER, Condition, read_settings
from streaming_model.motion.presence import Presence, load_presence
from streaming_model.motion.sampler import flow_times

Floats = NDArray[np.float32]
ModelT = TypeVar("ModelT", AudioEncoder, MotionDenoiser)


class DeviceNetworks:
    """Encoder and denoiser on one device; implements `motion.networks.Networks`.

    Args:
        device: where to run them.
        folder: holds the diffusers pipeline and `serving.json`.
        guidance: scale of the guidance to imitate; the model's own default if None.

    Raises:
        ModelFileError: a file is missing or damaged.
    """

    def __init__(
        self, device: torch.device, folder: Path = DEFAULT_FOLDER, *, guidance: float | None = None
    ) -> None:
        self.device = device
        self.settings = read_settings(folder / "serving.json")
        self.guidance = self.settings.guidance if guidance is None else guidance
        self.presence: Presence | None = load_presence(folder, audio_size=self.settings.audio_size)
        self.filmed: FilmedMouth | None = load_filmed(folder, audio_size=self.settings.audio_size)
        self.cues: Cues | None = load_cues(folder, audio_size=self.settings.audio_size)
        self.listener: Listener | None = load_listener(folder)  # small: it stays on the processor
        self._encoder = _load(AudioEncoder, folder / "encoder", device)
        self._denoiser = _load(MotionDenoiser, folder / "denoiser", device)
        self._encode = Buckets(self._encoded, device)
        self._denoise = Buckets(self._denoised, device)

    def encode(self, mel: Floats, state: Floats) -> tuple[Floats, Floats]:
        """Maps [batch, 4 * frames, 80] and [batch, state] to features and the next state.

        The features are [batch, frames, audio_size].
        """
        features, next_state = self._encode({"mel": mel, "state": state})
        return features, next_state

    def denoise(self, x_t: Floats, t: float, step_size: float, condition: Condition) -> Floats:
        """Maps [batch, N, size] noisy frames at flow time `t` to clean ones."""
        step = np.array([t, step_size, self.guidance], np.float32)
        inputs: dict[str, Array] = {
            "x_t": x_t,
            "history": condition.history,
            "history_known": condition.history_known,
            "audio": condition.audio,
            "style": condition.style,
            "activity": condition.activity,
            "step": np.broadcast_to(step, (len(x_t), 3)),
        }
        (x0,) = self._denoise(inputs)
        return x0

    def prepare(
        self, most: int, *, chunk_frames: int, lookahead_frames: int, steps: int | None = None
    ) -> None:
        """Makes ready for batches of up to `most` sessions: none that joins has to wait for it."""
        settings = self.settings
        first, window = chunk_frames + lookahead_frames, settings.history_frames
        count, sizes = 1, len(settings.scale)
        while count < 2 * most:
            state = np.zeros((count, settings.encoder_state_size), np.float32)
            for frames in {chunk_frames, first}:
                mel = np.zeros((count, MELS_PER_FRAME * frames, MEL_BINS), np.float32)
                self.encode(mel, state)
            told = Condition(
                history=np.zeros((count, window, sizes), np.float32),
                history_known=np.zeros((count, window), np.float32),
                audio=np.zeros((count, window + first, settings.audio_size), np.float32),
                style=np.zeros((count, len(settings.style_names)), np.float32),
                activity=np.zeros(count, np.int64),
            )
            t, s, *_ = flow_times(settings.steps if steps is None else steps)
            self.denoise(np.zeros((count, chunk_frames, sizes), np.float32), t, t - s, told)
            count *= 2

    def _encoded(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        features, next_state = self._encoder(inputs["mel"], inputs["state"])
        return features, next_state

    def _denoised(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor]:
        t, step_size, guidance = inputs["step"].unbind(1)
        told = DenoiserInputs(
            history=inputs["history"],
            history_known=inputs["history_known"],
            audio=inputs["audio"],
            style=inputs["style"],
            activity=inputs["activity"],
            history_noise=torch.zeros_like(t),
            step_size=step_size,
            guidance=guidance,
        )
        return (self._denoiser(inputs["x_t"], t, told),)


def _load(kind: type[ModelT], folder: Path, device: torch.device) -> ModelT:
    try:
        model = kind.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True, low_cpu_mem_usage=False
        )
    except (OSError, ValueError) as error:
        raise ModelFileError(f"The motion model's folder {folder} is damaged: {error}") from error
    placed: ModelT = model.eval().requires_grad_(requires_grad=False).to(device)  # type: ignore[arg-type]
    return placed
