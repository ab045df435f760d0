"""Photographs every mode and state of the page, by day and by night, on a phone and on a desk.

    make camera && vivant serve &
    python tools/page_screens.py OUT [--server http://127.0.0.1:8080] [--only NAME ...]

writes OUT/DEVICE/SCHEME/STATE.png and a contact sheet for each device and scheme.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks.chromium import CHROMIUM_FLAGS, FINGERS, SOUND_ALLOWED
from tools.page_states import STATES

Launch = Callable[[Iterable[str]], Browser]
Scheme = Literal["dark", "light"]
DEVICES: dict[str, dict[str, Any]] = {
    "desktop": {"viewport": {"width": 1440, "height": 900}},
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True},
}
SCHEMES: tuple[Scheme, ...] = ("dark", "light")
PATIENCE = 60_000  # ms
COLUMN = {"desktop": 480, "phone": 240}  # px, of a picture on the contact sheet
ACROSS = {"desktop": 4, "phone": 8}


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture that was made."""

    device: str
    scheme: Scheme
    state: str
    path: Path


def photograph(launch: Launch, server: str, out: Path, names: list[str]) -> Iterator[Shot]:
    """Yields a picture of every state; one that cannot be reached is told and left out."""
    for device, options in DEVICES.items():
        browser = launch((FINGERS,) if device == "phone" else ())
        for name in names:
            context = browser.new_context(**options, bypass_csp=True)
            page = context.new_page()
            page.set_default_timeout(PATIENCE)
            before, reach = STATES[name]
            try:
                before(page, server)
                page.goto(server, wait_until="commit")
                reach(page, server)
                for scheme in SCHEMES:
                    yield Shot(device, scheme, name, _save(page, out, device, scheme, name))
            except Exception as error:  # noqa: BLE001 - the other states are wanted still
                print(f"{device} {name}: {str(error).splitlines()[0]}", file=sys.stderr)
            page.goto("about:blank")
            context.close()
        browser.close()


def _save(page: Page, out: Path, device: str, scheme: Scheme, name: str) -> Path:
    page.emulate_media(color_scheme=scheme)
    page.wait_for_timeout(250)
    path = out / device / scheme / f"{name}.png"
    # A dialog lies over what is in view: on a picture of the whole page it would be below the fold.
    whole = device == "phone" and page.locator("dialog[open]").count() == 0
    page.screenshot(path=path, full_page=whole)
    return path


def contact_sheet(shots: list[Shot], path: Path) -> None:
    """Puts pictures of one device side by side, each under its name."""
    width, across = COLUMN[shots[0].device], ACROSS[shots[0].device]
    tiles = []
    for shot in shots:
        with Image.open(shot.path) as image:
            tile = image.convert("RGB").resize((width, round(image.height * width / image.width)))
            tiles.append((shot.state, tile))
    rows = [tiles[at : at + across] for at in range(0, len(tiles), across)]
    heights = [max(tile.height for _, tile in row) + 24 for row in rows]
    sheet = Image.new("RGB", (across * (width + 12), sum(heights)), "#777")
    draw = ImageDraw.Draw(sheet)
    top = 0
    for row, height in zip(rows, heights, strict=True):
        for column, (name, tile) in enumerate(row):
            draw.text((column * (width + 12) + 6, top + 6), name, "white")
            sheet.paste(tile, (column * (width + 12) + 6, top + 22))
        top += height
    sheet.save(path)


def main() -> int:
    """Photographs what is asked for; returns 1 if a state could not be reached."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("out", type=Path, help="a folder for the pictures")
    parser.add_argument("--server", default="http://127.0.0.1:8080", help="one that runs")
    parser.add_argument("--only", nargs="+", choices=STATES, default=list(STATES), metavar="NAME")
    options = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:

        def launch(flags: Iterable[str]) -> Browser:
            return playwright.chromium.launch(
                executable_path=chromium,
                ignore_default_args=["--mute-audio"],
                args=[*CHROMIUM_FLAGS, SOUND_ALLOWED, *flags],
            )

        shots = list(photograph(launch, options.server, options.out, options.only))
    for device in DEVICES:
        for scheme in SCHEMES:
            own = [shot for shot in shots if (shot.device, shot.scheme) == (device, scheme)]
            if own:
                contact_sheet(own, options.out / f"{device}-{scheme}.png")
    return 0 if len(shots) == len(options.only) * len(DEVICES) * len(SCHEMES) else 1


if __name__ == "__main__":
    sys.exit(main())
