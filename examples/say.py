"""Lets the portrait say a sentence and keeps a picture of it: `python examples/say.py "Hello."`."""

from __future__ import annotations

import asyncio
import sys

from PIL import Image

import vivant_client
from vivant_client import SubtitleDelta


async def main(
    address: str = "http://127.0.0.1:8080", text: str = "Hello there.", picture: str = "said.png"
) -> None:
    """Speaks, prints the words as they are heard, and saves the picture of the first one."""
    async with vivant_client.connect(address) as session, asyncio.TaskGroup() as group:
        started = group.create_task(session.wait_for(vivant_client.SpeakStarted))
        words = group.create_task(print_words(session))
        utterance = await session.speak(text)
        async for frame in session.frames():
            if started.done() and frame.media_time >= started.result().media_time:
                Image.fromarray(frame.image).save(picture)
                break
        ended = await session.finished(utterance)
        words.cancel()
        print(f"said in {ended.spoken_ms / 1000:.1f} s")


async def print_words(session: vivant_client.Session) -> None:
    """Prints subtitles as their sound begins."""
    async for event in session.events():
        if isinstance(event, SubtitleDelta):
            print(f"{event.media_time / 16_000:6.2f} s  {event.text}")


if __name__ == "__main__":
    asyncio.run(main(text=" ".join(sys.argv[1:]) or "Hello there."))
