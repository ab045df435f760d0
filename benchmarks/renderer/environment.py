"""The ruler's own Python environment, made when it is first needed.

MediaPipe brings a second OpenCV, which must not meet ours; so it never enters the environment
that Vivant runs in.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Final

REQUIREMENTS: Final = Path(__file__).with_name("ruler-requirements.txt")
FOLDER: Final = Path(__file__).parents[2] / ".venv-looks"
STAMP: Final = FOLDER / "requirements.sha256"  # written when all is installed
VARIABLE: Final = "VIVANT_RULER_ENV"  # names an environment to use instead


def ruler_python() -> Path:
    """Returns the interpreter that runs the ruler; makes its environment if it is not there.

    Raises:
        RuntimeError: the packages cannot be installed, or the variable names something else.
    """
    named = os.environ.get(VARIABLE)
    if named:
        python = Path(named) / "bin" / "python"
        if not python.exists():
            raise RuntimeError(f"{VARIABLE} names {named}, which is no Python environment.")
        return python
    python = FOLDER / "bin" / "python"
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    if python.exists() and _read(STAMP) == wanted:
        return python
    print(f"Making the ruler's environment in {FOLDER} (some 250 MB, a minute or two).")
    venv.create(FOLDER, with_pip=True)
    command = [str(python), "-m", "pip", "install", "--no-deps", "-r", str(REQUIREMENTS)]
    done = subprocess.run([*command, "--progress-bar", "on"], stdout=sys.stderr, check=False)
    if done.returncode:
        raise RuntimeError(
            f"The ruler's packages could not be installed: pip ended with {done.returncode}."
        )
    STAMP.write_text(wanted)
    return python


def is_ready() -> bool:
    """Returns whether an environment is there, so that nothing would have to be installed."""
    named = os.environ.get(VARIABLE)
    return (Path(named) / "bin" / "python" if named else STAMP).exists()


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""
