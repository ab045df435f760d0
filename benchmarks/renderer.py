"""What a frame costs, stage by stage, beside a plain remap; and a contact sheet to look at.

Run as `python -m benchmarks.renderer IMAGE... --out FOLDER`. Times are CPU time of one thread.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from streaming_model.motion_space import INDEX, MOTION_SIZE
from streaming_model.portrait import make_portrait
from streaming_model.renderer import Renderer

Motion = NDArray[np.float32]

COLUMNS = 7


def motion(**values: float) -> Motion:
    """Returns a motion; a name without a side sets both sides, head angles are in degrees."""
    result = np.zeros(MOTION_SIZE, np.float32)
    for name, value in values.items():
        for full in [name] if name in INDEX else [f"{name}Left", f"{name}Right"]:
            is_angle = name in ("headPitch", "headYaw", "headRoll")
            result[INDEX[full]] = math.radians(value) if is_angle else value
    return result


POSES: dict[str, Motion] = {
    "rest": motion(),
    "jaw 0.3": motion(jawOpen=0.3),
    "jaw 0.6": motion(jawOpen=0.6),
    "jaw 1": motion(jawOpen=1),
    "smile": motion(mouthSmile=1),
    "pucker": motion(mouthPucker=1),
    "funnel": motion(mouthFunnel=1),
    "blink half": motion(eyeBlink=0.5),
    "blink full": motion(eyeBlink=1),
    "gaze right": motion(eyeLookOutLeft=1, eyeLookInRight=1),
    "gaze left": motion(eyeLookInLeft=1, eyeLookOutRight=1),
    "gaze up": motion(eyeLookUp=1),
    "gaze down": motion(eyeLookDown=1),
    "brows up": motion(browInnerUp=1, browOuterUp=1),
    "yaw +15": motion(headYaw=15),
    "yaw -15": motion(headYaw=-15),
    "pitch +10": motion(headPitch=10),
    "pitch -10": motion(headPitch=-10),
    "roll +12": motion(headRoll=12),
    "roll -12": motion(headRoll=-12),
    "brows down": motion(browDown=1),
    "ah": motion(jawOpen=0.35, mouthLowerDown=0.3, mouthUpperUp=0.2, mouthSmile=0.2),
    "oo": motion(jawOpen=0.15, mouthPucker=0.6, mouthFunnel=0.4),
    "ee": motion(jawOpen=0.15, mouthStretch=0.5, mouthSmile=0.4, mouthLowerDown=0.2),
    "f v": motion(jawOpen=0.1, mouthRollLower=0.6, mouthUpperUp=0.3),
    "p b m": motion(
        jawOpen=0.1, mouthClose=0.1, mouthPress=0.5, mouthRollLower=0.3, mouthRollUpper=0.3
    ),
    "tongue": motion(jawOpen=0.5, tongueOut=1),
    "ah, turned": motion(jawOpen=0.4, mouthLowerDown=0.3, headYaw=12, headPitch=-5),
}


def cost(action: Callable[[], object], repeats: int = 40) -> float:
    """Returns the median CPU milliseconds of one call in this thread."""
    action()
    times = []
    for _ in range(repeats):
        start = time.thread_time()
        action()
        times.append(time.thread_time() - start)
    return 1000 * float(np.median(times))


def stages(renderer: Renderer, moved: Motion) -> dict[str, float]:
    """Returns the cost of each stage of a frame and of a plain remap of the same size."""
    geometry, stage = renderer._geometry, renderer._stage
    head = geometry.head(moved)
    face = head.apply(geometry.shape(moved))
    out = stage.picture.copy()
    size = renderer.size
    columns, rows = np.meshgrid(np.arange(size), np.arange(size))
    shift = 3 * np.sin(rows / 40).astype(np.float32)
    map_x, map_y = columns.astype(np.float32) + shift, rows.astype(np.float32)
    return {
        "geometry": cost(lambda: head.apply(geometry.shape(moved))),
        "head and face": cost(lambda: renderer._person(moved, head, face)),
        "eyes": sum(cost(partial(eye.draw, out, face, moved, head)) for eye in renderer._eyes),
        "mouth": cost(lambda: renderer._mouth.draw(out, face, moved, head)),
        "whole frame": cost(lambda: renderer.render(moved)),
        "plain remap": cost(
            lambda: cv2.remap(stage.picture, map_x, map_y, cv2.INTER_LINEAR, dst=out)
        ),
    }


def contact_sheet(renderer: Renderer) -> NDArray[np.uint8]:
    """Returns all poses on one sheet, [h, w, 3] RGB, each with its name."""
    tiles = []
    for name, moved in POSES.items():
        tile = cv2.resize(renderer.render(moved), (384, 384), interpolation=cv2.INTER_AREA)
        cv2.putText(tile, name, (6, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (0, 255, 0), 1)
        tiles.append(tile)
    while len(tiles) % COLUMNS:
        tiles.append(np.zeros_like(tiles[0]))
    rows = [np.hstack(tiles[at : at + COLUMNS]) for at in range(0, len(tiles), COLUMNS)]
    return np.asarray(np.vstack(rows), np.uint8)


def main() -> None:
    """Measures every image given and writes its contact sheet."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.renderer", description=__doc__)
    parser.add_argument("images", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True, help="folder for the contact sheets")
    parser.add_argument("--size", type=int, default=512)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    talking = motion(jawOpen=0.35, mouthLowerDown=0.3, eyeBlink=0.2, headYaw=6, headPitch=3)
    for image in arguments.images:
        start = time.process_time()
        portrait = make_portrait(image)
        made = time.process_time()
        renderer = Renderer(portrait, size=arguments.size)
        ready = time.process_time()
        print(f"{image.name}: portrait {made - start:.2f} s, renderer {ready - made:.2f} s")
        measured = stages(renderer, talking)
        for name, milliseconds in measured.items():
            print(f"  {name:12s} {milliseconds:6.2f} ms")
        print(f"  frame over remap: {measured['whole frame'] / measured['plain remap']:.2f}")
        sheet = arguments.out / f"{image.stem}.png"
        cv2.imwrite(str(sheet), cv2.cvtColor(contact_sheet(renderer), cv2.COLOR_RGB2BGR))
        print(f"  {sheet}")


if __name__ == "__main__":
    main()
