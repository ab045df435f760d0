"""Lets the portrait say what a sound file says: `python examples/push_audio.py speech.wav`."""

from __future__ import annotations

import asyncio
import sys
import wave

import vivant_client
from vivant_client import SpeakEnded


async def main(address: str = "http://127.0.0.1:8080", file: str = "speech.wav") -> None:
    """Sends the file's PCM as fast as the server takes it, and waits until it was heard."""
    with wave.open(file) as sound:
        if sound.getsampwidth() != 2:
            raise SystemExit(f"{file} does not hold 16-bit samples.")
        rate, channels = sound.getframerate(), sound.getnchannels()
        pcm = sound.readframes(sound.getnframes())
    async with vivant_client.connect(address) as session, asyncio.TaskGroup() as group:
        heard = group.create_task(session.wait_for(SpeakEnded))
        async with session.audio(rate, channels=channels) as audio:
            await audio.push(pcm)
        print(f"heard {(await heard).spoken_ms / 1000:.1f} s")


if __name__ == "__main__":
    asyncio.run(main(file=sys.argv[1]))
