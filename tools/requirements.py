"""Remakes the hash-pinned requirements from pyproject.toml, without any registry address.

torch and the CUDA packages that its default build asks for are left out: which build a
machine wants is tools/bootstrap.py's decision, and CPU and CUDA builds have different hashes.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CUDA_PREFIXES = ("torch==", "triton==", "nvidia-", "cuda-")


def compile_pins(target: str, *extras: str, within: str | None = None) -> None:
    """Writes `requirements/<target>.txt` for Python 3.11 and newer on every platform.

    Of what the target `within` pins, too, it takes the same version.
    """
    command = ["uv", "pip", "compile", "pyproject.toml", "requirements/build.in", "--quiet"]
    command += [] if within is None else ["--constraint", f"requirements/{within}.txt"]
    flags = ["--universal", "--python-version", "3.11", "--generate-hashes"]
    quiet = ["--no-header", "--no-annotate"]
    # A find-links folder with a CPU build of torch keeps CUDA's packages out of the resolution.
    links = {"UV_FIND_LINKS": os.environ.get("PIP_FIND_LINKS", "")}
    wanted = [word for extra in extras for word in ("--extra", extra)]
    pins = subprocess.run(
        [*command, *flags, *quiet, *wanted],
        check=True,
        cwd=ROOT,
        env=os.environ | links,
        capture_output=True,
        text=True,
    ).stdout
    (ROOT / "requirements" / f"{target}.txt").write_text(without_cuda(pins))


def without_cuda(pins: str) -> str:
    """Returns the list less torch and CUDA; a pin is a line and its indented hashes."""
    kept: list[str] = []
    keep = True
    for line in pins.splitlines(keepends=True):
        if not line.startswith(" "):
            keep = not line.startswith(CUDA_PREFIXES)
        if keep:
            kept.append(line)
    return "".join(kept)


if __name__ == "__main__":
    compile_pins("dev", "dev")
    compile_pins("runtime", within="dev")  # what users run is what was tested
