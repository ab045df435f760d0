"""What the trained encoder hears: phones and contacts, frame by frame, on voices held out.

Reads the stages' checkpoints, which keep the heads that the shipped weights drop.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from streaming_model.audio.encoder import AudioEncoder
from streaming_model.audio.features import stream_features
from streaming_model.media import SAMPLES_PER_MOTION_FRAME
from streaming_model.motion.contacts import NETWORK_SIZE
from training.coarticulation import mouth_contacts
from training.corpus.utterances import Utterance
from training.dataset import frame_labels, plain_stream
from training.encoder_stage import DELAYS, EncoderTask
from training.motion_run import ENCODER
from training.phones import PHONE_INDEX, SILENCE

_STAGES: Final = ("together", "encoder")  # the last to train the encoder comes first


class Hearing(NamedTuple):
    """How well a voice is heard.

    Attributes:
        accuracy: [delays] share of right phones among the spoken labels of 20 ms, when the
            encoder has heard 0, 1, 2... frames more.
        contacts: [2] area under the curve of true against false positives of each contact,
            two frames later: 0.5 is chance, 1 is perfect.
        labels: how many spoken labels there were.
    """

    accuracy: NDArray[np.float64]
    contacts: NDArray[np.float64]
    labels: int


def load_task(work: Path) -> EncoderTask:
    """Returns the encoder with its heads from a work folder of `training motion`.

    Raises:
        FileNotFoundError: no stage has trained an encoder there.
    """
    paths = [work / f"{stage}.pt" for stage in _STAGES]
    path = next((each for each in paths if each.exists()), None)
    if path is None:
        raise FileNotFoundError(f"There is no trained encoder in '{work}'.")
    saved = torch.load(path, map_location="cpu", weights_only=True)
    states = saved["average"] if "average" in saved else saved["networks"][0][1]
    task = EncoderTask(AudioEncoder(**ENCODER), scale=torch.ones(NETWORK_SIZE))
    task.load_state_dict(states)
    return task.eval()


@torch.no_grad()
def measure_hearing(task: EncoderTask, utterances: Sequence[Utterance]) -> Hearing:
    """Returns how well one voice is heard."""
    right, spoken_labels = np.zeros(DELAYS), np.zeros(DELAYS)
    scores: list[NDArray[np.float32]] = []
    truths: list[NDArray[np.float32]] = []
    for utterance in utterances:
        samples, padded = plain_stream(utterance)
        frames = len(samples) // SAMPLES_PER_MOTION_FRAME
        mel = torch.from_numpy(stream_features(samples))[None]
        phones, contacts, _ = task(mel)
        best = phones[0].argmax(-1).numpy()
        labels = frame_labels(padded.phones, padded.bounds, frames)
        for delay in range(DELAYS):
            truth = labels[: frames - delay]
            spoken = truth != PHONE_INDEX[SILENCE]
            right[delay] += ((best[delay:, delay] == truth) & spoken).sum()
            spoken_labels[delay] += spoken.sum()
        scores.append(contacts[0, 2:, 2].numpy())
        truths.append(mouth_contacts(padded.phones, padded.bounds, frames=frames)[: frames - 2])
    score, truth_ = np.concatenate(scores), np.concatenate(truths) > 0.5
    areas = [area_under_curve(score[:, kind], truth_[:, kind]) for kind in range(score.shape[1])]
    return Hearing(right / np.maximum(1, spoken_labels), np.array(areas), int(spoken_labels[0]))


def area_under_curve(scores: NDArray[np.float32], truth: NDArray[np.bool_]) -> float:
    """Returns the chance that a true frame scores above a false one (Mann and Whitney 1947)."""
    order = np.argsort(scores, kind="stable")
    ranks = np.empty(len(scores))
    ranks[order] = np.arange(1, len(scores) + 1)
    positives, negatives = int(truth.sum()), int((~truth).sum())
    if not positives or not negatives:
        return float("nan")
    above = ranks[truth].sum() - positives * (positives + 1) / 2
    return float(above / (positives * negatives))
