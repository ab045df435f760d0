"""Makes a portrait of a picture of yours: `python examples/add_portrait.py me.jpg "Mary"`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import vivant_client


async def main(
    address: str = "http://127.0.0.1:8080", file: str = "me.jpg", name: str | None = None
) -> None:
    """Says what is found in the picture, keeps it if it can be used, and lets it speak."""
    async with vivant_client.Portraits(address) as portraits:
        found = await portraits.preview(Path(file))
        if not found.accepted:
            raise SystemExit(f"{file}: {found.message}")
        for warning in found.warnings:
            print(f"Note: {warning}")
        portrait = await portraits.add(Path(file), name=name, rights="own-picture")
    print(f"{portrait.name} is {portrait.id}")
    async with vivant_client.connect(address, portrait=portrait.id, media=False) as session:
        await session.finished(await session.speak(f"Hello, I am {portrait.name}."))


if __name__ == "__main__":
    asyncio.run(main(file=sys.argv[1], name=" ".join(sys.argv[2:]) or None))
