"""`vivant drain`: has a worker's sessions go on elsewhere, by a gateway, and waits for that."""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import Any, Final

import httpx

from server.access.client_key import add_key, read_key
from streaming_model.errors import VivantError

_LOOK: Final = 0.5  # seconds between looks
_GRACE: Final = 10.0  # seconds beyond the bound for the worker to end
_PATIENCE: Final = 10.0  # seconds for an answer


def add_drain(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    drain = commands.add_parser(
        "drain",
        help="end a worker of a cluster, and have its sessions go on elsewhere",
        description="New sessions go to other workers at once; each that runs there moves at the "
        "end of its sentence. The worker then ends and is not started again.",
    )
    drain.add_argument(
        "worker", nargs="?", help="its id or process; without, the workers are listed"
    )
    drain.add_argument(
        "--url", default="http://127.0.0.1:8080", help="of a gateway (default: %(default)s)"
    )
    drain.add_argument(
        "--seconds",
        type=float,
        default=30.0,
        help="after which sessions move in mid-sentence, too (default: %(default)g)",
    )
    add_key(drain)
    drain.set_defaults(run=run_drain)


def run_drain(options: argparse.Namespace) -> int:
    """Drains a worker; returns 1 where it is still there at the end.

    Raises:
        VivantError: the gateway cannot be reached or refuses, or there is no such worker.
    """
    if not 0 <= options.seconds <= 86_400:
        raise VivantError(f"--seconds must be from 0 to 86400, not {options.seconds:g}.")
    key = read_key(options) or os.environ.get("VIVANT_API_KEY")
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    with httpx.Client(
        base_url=options.url, headers=headers, timeout=_PATIENCE, trust_env=False
    ) as client:
        workers = _workers(client)
        if options.worker is None:
            for each in workers:
                _print(_line(each))
            return 0
        found = [each for each in workers if options.worker in (each["worker"], str(each["pid"]))]
        if len(found) != 1:
            many = "are several workers" if found else "is no worker"
            raise VivantError(f"There {many} {options.worker!r}; `vivant drain` lists all.")
        worker = found[0]["worker"]
        _ask(client, "POST", f"/v1/workers/{worker}/drain", json={"seconds": options.seconds})
        return _wait(client, worker, options.seconds)


def _wait(client: httpx.Client, worker: str, seconds: float) -> int:
    end = time.monotonic() + seconds + _GRACE
    left = None
    while time.monotonic() < end:
        found = [each for each in _workers(client) if each["worker"] == worker]
        if not found:
            _print(f"The worker {worker} has ended.")
            return 0
        if found[0]["sessions"] != left:
            left = found[0]["sessions"]
            _print(_line(found[0]))
        time.sleep(_LOOK)
    sys.stderr.write(f"vivant: The worker {worker} is still there, with {left} sessions.\n")
    return 1


def _workers(client: httpx.Client) -> list[dict[str, Any]]:
    told = _ask(client, "GET", "/v1/capacity")
    if "workers" not in told:
        raise VivantError(
            f"{client.base_url} is no gateway: `vivant drain` is for several workers."
        )
    workers: list[dict[str, Any]] = told["workers"]
    return workers


def _ask(client: httpx.Client, method: str, path: str, **body: Any) -> dict[str, Any]:  # noqa: ANN401
    try:
        answer = client.request(method, path, **body)
    except httpx.TransportError as error:
        raise VivantError(f"{client.base_url} cannot be reached: {error}.") from None
    told = answer.json() if "json" in answer.headers.get("content-type", "") else {}
    if not answer.is_success:
        said = told.get("error", {}).get("message", f"the answer is {answer.status_code}.")
        raise VivantError(f"{client.base_url}: {said}")
    return dict(told)


def _line(worker: dict[str, Any]) -> str:
    state = "draining" if worker["draining"] else f"room for {worker['room']}"
    return (
        f"{worker['worker']}  process {worker['pid']}  {worker['sessions']} sessions, "
        f"{worker['waiting']} in line, {state}"
    )


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - what the command is for
