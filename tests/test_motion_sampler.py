"""The reference sampler and the diffusers scheduler take the same steps."""

from __future__ import annotations

import numpy as np
import pytest
from diffusers.schedulers.scheduling_flow_match_euler_discrete import (
    FlowMatchEulerDiscreteScheduler,
)

from streaming_model.motion.sampler import flow_times, sample, told_length


def predict(x_t: np.ndarray, t: float, step_size: float) -> np.ndarray:
    """A made-up network: nonlinear, and it uses all of its inputs."""
    return np.tanh(x_t * (1 + t)) * np.float32(0.5 + step_size)


@pytest.mark.parametrize("steps", [1, 2, 4, 8])
def test_it_equals_the_diffusers_scheduler(steps: int) -> None:
    import torch

    noise = np.random.default_rng(0).normal(0, 1, (2, 5, 58)).astype(np.float32)
    ours = sample(noise, predict, steps=steps)
    scheduler = FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=1.0)
    scheduler.set_timesteps(sigmas=flow_times(steps)[:-1])
    sigmas, x_t = scheduler.sigmas.tolist(), torch.from_numpy(noise)
    for index, timestep in enumerate(scheduler.timesteps):
        t = sigmas[index]
        x0 = torch.from_numpy(predict(x_t.numpy(), t, told_length(t - sigmas[index + 1])))
        x_t = scheduler.step((x_t - x0) / t, timestep, x_t).prev_sample
    np.testing.assert_allclose(ours, x_t.numpy(), atol=1e-5)


def test_one_step_is_the_prediction_itself() -> None:
    noise = np.ones((1, 2, 3), np.float32)
    np.testing.assert_array_equal(sample(noise, predict, steps=1), predict(noise, 1.0, 1.0))


def test_flow_times_run_from_one_to_zero() -> None:
    assert flow_times(4) == [1.0, 0.75, 0.5, 0.25, 0.0]
    with pytest.raises(ValueError, match="at least 1 step, got 0"):
        flow_times(0)


def test_a_network_is_told_only_lengths_of_steps_that_students_learn() -> None:
    told: dict[int, set[float]] = {}
    for steps in (1, 2, 4, 8, 25):
        lengths = told.setdefault(steps, set())

        def note(x_t: np.ndarray, t: float, step_size: float) -> np.ndarray:
            lengths.add(step_size)  # noqa: B023 - called in this round
            return x_t

        sample(np.ones((1, 2, 3), np.float32), note, steps=steps)
    assert told == {1: {1.0}, 2: {0.5}, 4: {0.25}, 8: {0.0}, 25: {0.0}}
