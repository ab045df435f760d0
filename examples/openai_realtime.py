"""Talks with a portrait by OpenAI's own client, `pip install openai`: type, and it answers."""

import asyncio
import base64
import sys
import wave
from collections.abc import Iterator
from typing import Any

from openai import AsyncOpenAI


async def main(
    address: str = "http://127.0.0.1:8080", lines: Iterator[str] = sys.stdin, file: str = "said.wav"
) -> None:
    """Prints where the portrait is seen, and its words as it says them; keeps their sound."""
    client = AsyncOpenAI(api_key="any", base_url=f"{address}/v1")
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, 24_000, 0, "NONE", "not compressed"))
        async with client, client.realtime.connect(model="vivant") as connection:
            created: Any = await connection.recv()
            print(f"Open {address}/view/{created.session.id} and ask something.")
            while line := await asyncio.to_thread(next, lines, ""):
                content = [{"type": "input_text", "text": line}]
                item: Any = {"type": "message", "role": "user", "content": content}
                await connection.conversation.item.create(item=item)
                await connection.response.create()
                async for event in connection:
                    if event.type == "response.output_audio.delta":
                        sound.writeframes(base64.b64decode(event.delta))
                    elif event.type == "response.output_audio_transcript.delta":
                        print(event.delta, end="", flush=True)
                    elif event.type == "response.done":
                        print()
                        break


if __name__ == "__main__":
    asyncio.run(main())
