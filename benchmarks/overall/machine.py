"""The machine that a run is of, and the versions of what does the work."""

from __future__ import annotations

import ctypes
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import av

from benchmarks.realtime.machine import machine_facts

_VECTORS: Final = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "asimd")  # in /proc/cpuinfo
_PACKAGES: Final = ("numpy", "numba", "onnxruntime", "av", "opencv-python-headless", "aiortc")


def facts(*, is_busy: bool) -> dict[str, Any]:
    """Returns processor, cores, memory, load, system, Python and versions."""
    told = machine_facts(is_busy=is_busy)
    return {
        **{name: value for name, value in told.items() if name != "aiortc"},
        "C library": "-".join(platform.libc_ver()),
        "instructions": _instructions(),
        "graphics card": _card(),
        "versions": {
            **{name: version(name) for name in _PACKAGES},
            "FFmpeg": av.ffmpeg_version_info,
        },
    }


def _instructions() -> str:
    """Names the vectors that the processor says it has, of those that matter here."""
    flags = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    return ", ".join(name for name in _VECTORS if name in flags) or "none of note"


def _card() -> str:
    """Names the NVIDIA cards that there are, by their driver's library."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "none: nothing was measured on a GPU"
    count = ctypes.c_int()
    if cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
        return "none: nothing was measured on a GPU"
    name = ctypes.create_string_buffer(100)
    cuda.cuDeviceGetName(name, len(name), 0)
    return f"{count.value} x {os.fsdecode(name.value)}"
