"""The diffusers pipeline: log-mel features in, motion out, in any number of steps.

For training, research and the GPU. Serving runs the same weights without diffusers; see
`motion.generator`.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.schedulers.scheduling_flow_match_euler_discrete import (
    FlowMatchEulerDiscreteScheduler,
)
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from streaming_model.audio.encoder import AudioEncoder
from streaming_model.audio.features import MELS_PER_FRAME
from streaming_model.motion.denoiser import DenoiserInputs, MotionDenoiser
from streaming_model.motion.sampler import flow_times, told_length
from streaming_model.motion.style import Activity
from streaming_model.motion_space import MOTION_SIZE


class MotionPipeline(DiffusionPipeline):
    """Speech features to motion, chunk by chunk, each conditioned on the frames before.

    On a GPU, `pipeline.to("cuda")` and `pipeline.denoiser.compile(mode="reduce-overhead")` run
    each step of the sampler as one CUDA graph; every chunk has the same shapes.

    Args:
        encoder: log-mel to phonetic features.
        denoiser: predicts clean motion.
        scheduler: takes the steps from noise to motion.
    """

    encoder: AudioEncoder
    denoiser: MotionDenoiser
    scheduler: FlowMatchEulerDiscreteScheduler

    def __init__(
        self,
        encoder: AudioEncoder,
        denoiser: MotionDenoiser,
        scheduler: FlowMatchEulerDiscreteScheduler,
    ) -> None:
        super().__init__()
        modules = {"encoder": encoder, "denoiser": denoiser, "scheduler": scheduler}
        self.register_modules(**modules)  # type: ignore[no-untyped-call]

    @torch.no_grad()
    def __call__(
        self,
        mel: Tensor,
        *,
        steps: int = 1,
        chunk_frames: int = 2,
        lookahead_frames: int = 2,
        style: Tensor | None = None,
        guidance: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Generates motion for whole recordings.

        Args:
            mel: [batch, 4 * frames, 80] features of `audio.features`.
            steps: sampler steps.
            chunk_frames: new frames per call of the sampler.
            lookahead_frames: frames of audio heard ahead; silence follows the end.
            style: [batch, styles] in the order of the denoiser's `style_names`; zeros if None.
            guidance: scale of the guidance that the student imitates; 0 for none.
            generator: source of the noise.

        Returns:
            [batch, frames, 58] motion, without contacts and the seeded life layer.
        """
        batch, frames = len(mel), mel.shape[1] // MELS_PER_FRAME
        history_frames = self.denoiser.config["history_frames"]
        padding = (lookahead_frames + chunk_frames) * MELS_PER_FRAME
        silence = mel.new_full((batch, padding, mel.shape[2]), -2.0)
        audio = self.encoder.encode(torch.cat([mel, silence], dim=1))
        audio = torch.cat([audio.new_zeros(batch, history_frames, audio.shape[2]), audio], dim=1)
        motion = mel.new_zeros(batch, history_frames, self.denoiser.config["motion_size"])
        styles = len(self.denoiser.config["style_names"])
        style = mel.new_zeros(batch, styles) if style is None else style
        for start in range(0, frames, chunk_frames):
            window = history_frames + chunk_frames + lookahead_frames
            known = torch.arange(history_frames, device=mel.device) >= history_frames - start
            inputs = DenoiserInputs(
                history=motion[:, -history_frames:],
                history_known=known.to(mel).expand(batch, -1),
                audio=audio[:, start : start + window],
                style=style,
                activity=torch.full((batch,), int(Activity.SPEAK), device=mel.device),
                history_noise=mel.new_zeros(batch),
                step_size=mel.new_zeros(batch),
                guidance=mel.new_full((batch,), guidance),
            )
            shape = (batch, chunk_frames, motion.shape[2])
            noise = randn_tensor(shape, generator=generator, device=mel.device)
            motion = torch.cat([motion, self.denoise(noise, inputs, steps=steps)], dim=1)
        scale, mean = (mel.new_tensor(self.denoiser.config[name]) for name in ("scale", "mean"))
        given = mean + scale * motion[:, history_frames : history_frames + frames]
        return given[:, :, :MOTION_SIZE]

    def denoise(self, noise: Tensor, inputs: DenoiserInputs, *, steps: int) -> Tensor:
        """Returns [batch, N, motion] clean frames by `steps` of the scheduler.

        The flow times are given to the scheduler: left to itself, its last step of two is dead.
        """
        self.scheduler.set_timesteps(sigmas=flow_times(steps)[:-1])
        times: list[float] = self.scheduler.sigmas.tolist()
        x_t = noise
        for index, timestep in enumerate(self.scheduler.timesteps):
            t = noise.new_full((len(noise),), times[index])
            told = _with_step_size(inputs, told_length(times[index] - times[index + 1]))
            x0 = self.denoiser(x_t, t, told)
            velocity = (x_t - x0) / times[index]
            stepped: Any = self.scheduler.step(velocity, timestep, x_t, return_dict=False)  # type: ignore[arg-type]
            x_t = stepped[0]
        return x_t


def _with_step_size(inputs: DenoiserInputs, step_size: float) -> DenoiserInputs:
    values: dict[str, Any] = {**vars(inputs)}
    values["step_size"] = torch.full_like(inputs.step_size, step_size)
    return DenoiserInputs(**values)
