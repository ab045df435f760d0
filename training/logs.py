"""Training curves as TensorBoard event files: `tensorboard --logdir FOLDER` draws them.

Written by tensorboardX, which needs neither TensorBoard nor TensorFlow. Knows nothing of what
is trained.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tensorboardX import SummaryWriter

_FLUSH_EVERY: Final = 10  # s


class TrainingLog:
    """Writes scalars to one folder; used in a `with` block.

    A run that goes on from a checkpoint opens the same folder with that checkpoint's step:
    TensorBoard then hides what the stopped run had written from this step on.
    """

    def __init__(self, folder: Path, *, first_step: int = 0) -> None:
        """Makes the folder where it is missing.

        Args:
            folder: of the run; runs in folders beside each other are drawn together.
            first_step: the step that this run begins at.
        """
        # The step in the file's name: two starts within a second must not share a file.
        self._writer = SummaryWriter(
            str(folder),
            purge_step=first_step or None,
            flush_secs=_FLUSH_EVERY,
            filename_suffix=f".{first_step}",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.close()

    def scalar(self, name: str, value: float, step: int) -> None:
        """Adds one point of the curve `name`; a slash in it groups curves ("flow/loss")."""
        self._writer.add_scalar(name, value, step)
