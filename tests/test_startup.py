"""What `vivant serve` imports before it can answer: each package costs every start its time."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

# What the server needs to answer at all, and what those packages bring. A further one is to be
# imported where it is used, or it earns its place here.
NEEDED = {
    "PIL", "aioice", "aiortc", "annotated_doc", "annotated_types", "anyio", "av", "c2pa", "cffi",
    "click", "cryptography", "cv2", "dns", "fastapi", "google_crc32c", "h11", "httpcore", "httpx",
    "idna", "ifaddr", "jwt", "markdown_it", "mdurl", "numpy", "onnxruntime",
    "OpenSSL", "prometheus_client", "pydantic", "pydantic_core", "pyee", "pylibsrtp",
    "python_multipart", "safetensors", "server", "sniffio", "soxr", "starlette",
    "streaming_model", "typing_extensions", "typing_inspection", "uvicorn", "uvloop", "webrtcvad",
    "websockets",
}  # fmt: skip
# Imported by those above where they are installed.
OPTIONAL = {
    "certifi", "colorama", "dateutil", "dotenv", "email_validator", "opentelemetry", "orjson",
    "pkg_resources", "psutil", "pygments", "rich", "scipy", "setuptools", "socksio", "ujson",
    "watchfiles", "yaml",
}  # fmt: skip
MOST_MODULES = 2000  # in all, those of the standard library included

_TELL = """
import json, sys
import server.cli, server.app
tops = {}
for name, module in sys.modules.items():
    if name.split(".")[0] in sys.stdlib_module_names or name.startswith(("_", "cython_runtime")):
        continue
    tops[name.split(".")[0]] = tops.get(name.split(".")[0], 0) + 1
print(json.dumps([tops, len(sys.modules)]))
"""


@cache
def imported() -> tuple[dict[str, int], int]:
    done = subprocess.run([sys.executable, "-c", _TELL], capture_output=True, text=True, check=True)
    tops, count = json.loads(done.stdout)
    return tops, count


def test_the_start_imports_what_it_needs_and_nothing_else() -> None:
    tops, count = imported()
    assert set(tops) <= NEEDED | OPTIONAL
    assert count < MOST_MODULES


@pytest.mark.parametrize(
    "package",
    ["torch", "diffusers", "numba", "ai_edge_litert", "mediapipe", "misaki", "livekit", "pipecat",
     "matplotlib", "skimage", "openai", "pocketsphinx", "sounddevice", "benchmarks", "training",
     "tests", "vivant_client"],
)  # fmt: skip
def test_what_only_some_use_waits_until_they_do(package: str) -> None:
    assert package not in imported()[0]


_TELL_LEAN = """
import gc, json, sys
from server.starting import import_server
import_server()
loaded = [name for name in ("pygments", "scipy", "httpx", "numba") if name in sys.modules]
import scipy.linalg, httpx._main  # whoever wants them afterwards has them
print(json.dumps([loaded, gc.isenabled(), gc.get_freeze_count() > 0]))
"""


def test_what_packages_bring_for_others_is_left_out_and_not_lost() -> None:
    command = [sys.executable, "-c", _TELL_LEAN]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [["httpx", "numba"], True, True]


_TELL_KEPT = """
import json, sys
from pathlib import Path
from streaming_model.avatar import Avatar
Avatar.from_image(size=256, cache_dir=Path(sys.argv[1]))
print(json.dumps([name for name in ("ai_edge_litert", "mediapipe") if name in sys.modules]))
"""


@pytest.mark.model
def test_a_portrait_that_was_measured_needs_no_net(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _TELL_KEPT, str(tmp_path)]
    first, second = (
        json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        for _ in range(2)
    )
    assert first == ["ai_edge_litert"]
    assert second == []
