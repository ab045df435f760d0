"""Makes `.venv` with the `vivant` command, from a bare Python 3.11.

Standard library only, since it runs before anything is installed. It knows why torch is
installed apart from the rest: its CPU and CUDA builds have different hashes, and no file of
this repository may name a foreign package index.
"""

from __future__ import annotations

import argparse
import ctypes.util
import json
import os
import platform
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
# Each compiles its loops and keeps them for the first start; they share none that takes long.
WARM_UPS = (
    "from streaming_model.avatar import Avatar; Avatar.from_image()",
    "import numpy; from streaming_model import motion; "
    "from streaming_model.media import AudioChunk; "
    "block = motion.load_motion_generator(); second = numpy.zeros(16_000, numpy.float32); "
    "block.step([block.start()], [AudioChunk(0, second)])",
)
TORCH = "torch==2.13.0"  # exact: a range fetches several GB of CUDA packages


def main() -> int:
    """Installs what `--dev` and `--browser` ask for; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dev", action="store_true", help="also what tests and checks need")
    parser.add_argument("--browser", action="store_true", help="also Debian's Chromium")
    options = parser.parse_args()
    if sys.version_info < (3, 11):
        found = platform.python_version()
        print(f"Vivant needs Python 3.11 or newer, this is {found}.", file=sys.stderr)
        return 2
    if not PYTHON.exists():
        say("making .venv")
        venv.create(VENV, with_pip=True)
    install_torch()
    say("installing the pinned packages (some hundred MB the first time)")
    pip("install", "--require-hashes", "--no-deps", "-r", str(requirements(dev=options.dev)))
    pip("install", "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    say("compiling what draws and what moves (half a minute the first time)")
    warm_up()
    if options.browser:
        install_chromium()
    return 0


def warm_up() -> None:
    """Compiles all loops, on two cores; raises CalledProcessError where that fails."""
    commands = [[str(PYTHON), "-c", words] for words in WARM_UPS]
    running = [subprocess.Popen(command, cwd=ROOT) for command in commands]
    for process in running:
        process.wait()
    for process in running:
        subprocess.CompletedProcess(process.args, process.returncode).check_returncode()


def say(text: str) -> None:
    """Prints one line of progress."""
    print(f"vivant: {text}", flush=True)


def requirements(*, dev: bool) -> Path:
    """Returns the hash-pinned list to install."""
    return ROOT / "requirements" / ("dev.txt" if dev else "runtime.txt")


def pip(*arguments: str) -> None:
    """Runs the environment's pip, quietly; raises CalledProcessError when it fails."""
    command = [str(PYTHON), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*command, *arguments], check=True)


def install_torch() -> None:
    """Installs the CPU build of torch where there is no GPU, and the CUDA build where there is.

    Serving needs no torch (it runs on onnxruntime), so a machine that cannot reach a CPU build
    goes on without one instead of loading gigabytes; training then says what is missing.
    """
    if subprocess.run([str(PYTHON), "-c", "import torch"], capture_output=True).returncode == 0:
        return
    if has_gpu():
        say("installing torch with CUDA for the GPU found")
        pip("install", TORCH)
    elif is_cpu_build_default():
        say("installing torch, CPU build")
        pip("install", "--no-deps", TORCH)
    else:
        say("asking uv for the CPU build of torch")
        pip("install", "uv")
        command = [str(PYTHON), "-m", "uv", "pip", "install", "--python", str(PYTHON)]
        asked = subprocess.run([*command, "--no-deps", "--torch-backend", "cpu", TORCH])
        if asked.returncode != 0:
            say("no CPU build of torch can be reached; going on without (serving needs none)")


def has_gpu() -> bool:
    """Tells whether NVIDIA's driver lists a GPU."""
    tool = shutil.which("nvidia-smi")
    return tool is not None and subprocess.run([tool, "-L"], capture_output=True).returncode == 0


def is_cpu_build_default() -> bool:
    """Tells whether plain pip would take a build without CUDA, by asking it (a dry run)."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return True
    command = [str(PYTHON), "-m", "pip", "install", "--quiet", "--dry-run", "--no-deps"]
    asked = subprocess.run(
        [*command, "--ignore-installed", "--report", "-", TORCH], capture_output=True, text=True
    )
    if asked.returncode != 0:
        return False
    report = json.loads(asked.stdout[asked.stdout.index("{") :])
    return str(report["install"][0]["metadata"]["version"]).endswith("+cpu")


def install_chromium() -> None:
    """Installs Chromium from Debian, and the library that its driver's Node.js wants.

    The browser tests skip where that is impossible.
    """
    found = {
        "chromium": shutil.which("chromium"),
        "libatomic1": ctypes.util.find_library("atomic"),
    }
    missing = [package for package, place in found.items() if not place]
    if not missing:
        return
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if not shutil.which("apt-get") or (sudo and not shutil.which("sudo")):
        say(f"{missing[0]} is missing and this is not Debian: the browser tests will be skipped")
        return
    say(f"installing {' and '.join(missing)} from Debian for the browser tests")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update", "-qq"], ["install", "-y", "-qq", *missing]):
        command = [*sudo, "apt-get", *words]
        if subprocess.run(command, env=environment, stdout=subprocess.DEVNULL).returncode != 0:
            say(f"apt-get {words[0]} failed: the browser tests will be skipped")
            return


if __name__ == "__main__":
    sys.exit(main())
