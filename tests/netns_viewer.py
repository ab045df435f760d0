"""Watches a server from another network namespace and prints what it saw, as JSON.

`python -m tests.netns_viewer http://ADDRESS:PORT SECONDS`
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import httpx

from benchmarks.viewer import Viewer


async def watch(address: str, seconds: float) -> dict[str, float]:
    async with httpx.AsyncClient(base_url=address, timeout=30) as client:
        answer = await client.post("/v1/sessions", json={})
        answer.raise_for_status()
        viewer = Viewer(client, answer.json()["session_id"], keeps_pictures=False)
        await viewer.connect()
        await viewer.until(lambda got: got.pictures and got.sounds and got.events, seconds=20)
        viewer.send(type="speak", text="x" * int(20 * seconds))
        began = time.monotonic()
        await asyncio.sleep(seconds)
        received = viewer.received
        summary = {
            "pictures": sum(at > began for at, _, _ in received.pictures) / seconds,
            "sounds": sum(at > began for at, _, _ in received.sounds) / seconds,
            "spoken": len(received.of_type("agent.speak_started")),
            "bitrate_kbps": received.of_type("metrics")[-1]["bitrate_kbps"],
        }
        await viewer.close()
        return summary


if __name__ == "__main__":
    print(json.dumps(asyncio.run(watch(sys.argv[1], float(sys.argv[2])))))  # noqa: T201
