"""The command `python -m training motion`: makes the speech-to-motion model again."""

from __future__ import annotations

import argparse
from pathlib import Path

from training.motion_run import RunSettings, run


def main() -> None:
    """Reads the command line and runs."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    motion = commands.add_parser("motion", help="make the speech-to-motion model")
    motion.add_argument("--work", type=Path, default=Path("build/motion"))
    motion.add_argument("--output", type=Path, default=Path("streaming_model/weights/motion"))
    motion.add_argument("--max-seconds", type=float, default=2400.0, help="training time")
    motion.add_argument(
        "--speech",
        type=float,
        nargs=3,
        default=(4800.0, 1000.0, 2400.0),
        metavar=("FLITE", "PIPER", "KOKORO"),
        help="seconds of speech by each engine",
    )
    motion.add_argument("--streams", type=int, default=600, help="augmented streams of 24 s")
    motion.add_argument("--seed", type=int, default=20)
    motion.add_argument(
        "--extra-styles", type=Path, help="folder of Kokoro NAME.bin files with more speakers"
    )
    arguments = parser.parse_args()
    run(
        RunSettings(
            work=arguments.work,
            output=arguments.output,
            seconds=arguments.max_seconds,
            speech=tuple(arguments.speech),
            streams=arguments.streams,
            seed=arguments.seed,
            extra_styles=arguments.extra_styles,
        )
    )


if __name__ == "__main__":
    main()
