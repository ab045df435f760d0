"""The measures: each takes a subject and returns figures and curves.

A figure is a number with a name; `limits.py` says which numbers are good enough. A curve is
what was commanded against what was measured, for the plots.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import cv2
import numpy as np

from benchmarks.renderer import commands
from benchmarks.renderer.closed_lips import lip_colour, teeth_share
from benchmarks.renderer.commands import motion, there_and_back
from benchmarks.renderer.edges import plate_figures
from benchmarks.renderer.folds import fold_figures
from benchmarks.renderer.responses import NOTICEABLE, RESPONSES
from benchmarks.renderer.speech import monologue
from benchmarks.renderer.speed import speed_figures
from benchmarks.renderer.subject import (
    Curve,
    Figures,
    Measured,
    Subject,
    angle_of,
    correlation,
    embedding_distance,
    face_mask,
    landmark_motion,
    psnr,
    response,
    roundness,
    score,
    scored,
    series,
    shifted,
    sized,
    turned_about,
    worst,
)
from streaming_model.motion_space import MOTION_SIZE

BARELY: Final = np.full(MOTION_SIZE, 1e-6, np.float32)  # drawn in full, yet nothing moves
FAR: Final = 0.2  # of the side from the person: a roll of 12 degrees moves a head's top that far
EMBED_EVERY: Final = 5  # frames
TONGUE_LEVELS: Final = 12  # a pixel that changes more shows the tongue, or hides it
FACE_SHAPES: Final = ("mouthPucker", "mouthFunnel")
SIDES: Final = ("Left", "Right")


def rest(subject: Subject) -> Measured:
    """Compares the frame at rest, and the first that is really drawn, with the picture."""
    picture = subject.portrait.picture
    if len(picture) != subject.size:
        smaller = len(picture) > subject.size
        how = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
        picture = np.asarray(cv2.resize(picture, (subject.size,) * 2, interpolation=how), np.uint8)
    face = face_mask(subject.rest, subject.size)
    figures = {}
    for name, command in {"rest": motion(), "drawn": BARELY}.items():
        frame = subject.renderer.render(command)
        figures[f"{name} PSNR in face"] = psnr(frame[face], picture[face])
        differs = np.abs(frame.astype(int) - picture).max(axis=2)
        figures[f"{name} worst outside"] = float(differs[~face].max())
    figures["drawn changed outside"] = float((differs[~face] > 2).mean())
    return Measured(figures)


def sweeps(subject: Subject) -> Measured:
    """Commands mouth and brows from 0 to 1 and back, and reads their own scores."""
    figures, curves = {}, {}
    for name in commands.SWEPT:
        curve = sweep(subject, name)
        curves[name] = curve
        figures[f"{name} r"] = correlation(curve.command, curve.measured["score"])
        figures[f"{name} peak"] = float(np.nanmax(curve.measured["score"]))
        for shape in ("narrowing", "rounding"):
            if name in FACE_SHAPES:
                figures[f"{name} {shape} r"] = correlation(curve.command, curve.measured[shape])
    return Measured(figures, curves)


def sweep(subject: Subject, name: str, *, most: float = 1.0) -> Curve:
    """Commands one coefficient (both sides of it) up and down."""
    command = there_and_back(most)
    faces = [subject.measure(motion(**{name: float(value)})) for value in command]
    return Curve(
        command,
        {
            "score": series(faces, scored(name)),
            "narrowing": series(faces, lambda face: -face.sizes["mouth_width"]),
            "rounding": series(faces, roundness),
        },
    )


def blink(subject: Subject) -> Measured:
    """Closes both eyes, and the left one alone."""
    figures, curves = {}, {}
    command = there_and_back()
    faces = [subject.measure(motion(eyeBlink=float(value))) for value in command]
    curves["eyeBlink"] = Curve(
        command,
        {side: series(faces, scored(f"eyeBlink{side}")) for side in SIDES},
    )
    full = len(command) // 2
    for side in SIDES:
        aspect = series(faces, sized(f"eye{side}"))
        opening = aspect / subject.rest.sizes[f"eye{side}"]
        curves[f"opening {side}"] = Curve(command, {"opening": opening})
        measured = curves["eyeBlink"].measured[side]
        figures[f"blink opening {side}"] = float(opening[full])
        figures[f"blink r {side}"] = correlation(command, measured)
        figures[f"blink opening r {side}"] = -correlation(command, opening)
        figures[f"blink score {side}"] = float(measured[full])
    alone = subject.measure(motion(eyeBlinkLeft=1.0))
    for side, name in (("Left", "closed"), ("Right", "other")):
        seen = series([alone], sized(f"eye{side}")) / subject.rest.sizes[f"eye{side}"]
        figures[f"wink {name}"] = float(seen[0])
    return Measured(figures, curves)


def pose(subject: Subject) -> Measured:
    """Turns the head over the stated range and reads its rotation against the rest's."""
    figures, curves = {}, {}
    for axis, (name, most) in enumerate(commands.RANGE.items()):
        command = np.linspace(-most, most, 11)
        faces = [subject.measure(motion(**{name: float(value)})) for value in command]
        turned = series(faces, turned_about(subject.rest, axis))
        change = series(faces, angle_of(axis)) - subject.rest.angles[axis]
        label = name.removeprefix("head").lower()
        curves[name] = Curve(command, {"rotation": turned, "angle": change}, unit="degrees")
        figures[f"{label} error"] = worst(turned - command)
        figures[f"{label} angle error"] = worst(change - command)
        figures[f"{label} gain"] = float(np.polyfit(command, turned, 1)[0])
    return Measured(figures, curves)


def others(subject: Subject) -> Measured:
    """Commands every other coefficient, one side at a time, and the head's shifts."""
    figures, curves = {}, {}
    lost, wrong = 0, 0
    for name in commands.other_coefficients():
        command = np.array([0.25, 0.5, 0.75, 1.0])
        faces = [subject.measure(motion(**{name: float(value)})) for value in command]
        lost += sum(face is None for face in faces)
        moved = series(faces, lambda face: landmark_motion(subject.rest, face))
        own = series(faces, scored(name)) - score(subject.rest, name)
        curves[name] = Curve(command, {"score": own, "moved %": moved})
        figures[f"{name} moved"] = float(moved[-1])
        figures[f"{name} score"] = float(own[-1])
        if name in RESPONSES:
            seen = series(faces, response(subject.rest, name))
            curves[name].measured["response"] = seen
            figures[f"{name} response"] = float(seen[-1])
            wrong += not seen[-1] > NOTICEABLE
    for name, most in commands.SHIFTS.items():
        command = np.linspace(-most, most, 5)
        faces = [subject.measure(motion(**{name: float(value)})) for value in command]
        lost += sum(face is None for face in faces)
        seen = series(faces, shifted(subject.rest, name))
        curves[name] = Curve(command, {"shift": seen}, unit="cm")
        figures[f"{name} r"] = correlation(command, seen)
    return Measured(
        {
            **figures,
            **inside_open_mouth(subject),
            "others lost": float(lost),
            "others wrong": float(wrong),
        },
        curves,
    )


def inside_open_mouth(subject: Subject) -> Figures:
    """Measures what only an open mouth shows: the tongue, and lips closed against the jaw."""
    opened = motion(jawOpen=0.4)
    closed = motion(jawOpen=0.4, mouthClose=0.4)
    faces = [subject.measure(command) for command in (opened, closed)]
    gaps = series(faces, sized("lip_gap"))
    out = motion(jawOpen=0.4, tongueOut=1)
    before, after = (subject.renderer.render(command).astype(int) for command in (opened, out))
    changed = np.abs(after - before).max(axis=2) > TONGUE_LEVELS
    return {
        "mouthClose keeps open": float(gaps[1] / gaps[0]),
        "tongueOut area %": 100 * float(changed.sum()) / subject.rest.sizes["face_height"] ** 2,
    }


def still(subject: Subject) -> Measured:
    """Looks for any change of the background far from the person."""
    size = subject.size
    matte = cv2.resize(subject.portrait.matte, (size, size), interpolation=cv2.INTER_AREA)
    reach = round(FAR * size)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    far = cv2.dilate((matte > 0).astype(np.uint8), kernel) == 0
    if not far.any():
        return Measured({"background far": 0.0})
    first = subject.renderer.render(BARELY)[far].astype(int)
    change = [
        np.abs(subject.renderer.render(command)[far] - first).max()
        for command in commands.extremes().values()
        if command.any()
    ]
    return Measured({"background change": float(max(change)), "background far": float(far.mean())})


def lips(subject: Subject) -> Measured:
    """Looks whether the lips meet in the P, B and M of the monologue."""
    speech = monologue()
    figures: Figures = {"lips lost": 0.0}
    curves = {}
    own = lip_colour(subject.renderer.render(motion()), subject.rest)
    for name, moved, frames in (
        ("exact", speech.exact, speech.bilabial),
        ("spoken", speech.motion, speech.commanded),
    ):
        seen = [subject.look(command) for command in moved[frames]]
        gaps = 100 * series([face for _, face in seen], sized("lip_gap"))
        teeth = [teeth_share(frame, face, own) for frame, face in seen if face is not None]
        figures[f"lips {name} teeth %"] = max(teeth, default=np.nan)
        figures["lips lost"] += float(np.isnan(gaps).sum())
        figures[f"lips {name} worst %"] = float(np.nanmax(gaps))
        figures[f"lips {name} open"] = float(np.sum(~(gaps <= 2)))
        figures[f"lips {name} frames"] = float(len(gaps))
        curves[f"lips {name}"] = Curve(np.flatnonzero(frames) / 25, {"gap %": gaps}, unit="s")
    return Measured(figures, curves)


def identity(subject: Subject) -> Measured:
    """Measures the embedding's distance to the portrait over the monologue."""
    moved = monologue().motion[::EMBED_EVERY]
    faces = [subject.measure(command, embed=True) for command in moved]
    distance = series(faces, lambda face: embedding_distance(subject.rest, face))
    return Measured(
        {
            "identity mean": float(np.nanmean(distance)),
            "identity worst": float(np.nanmax(distance)),
            "identity lost": float(np.isnan(distance).sum()),
        },
        {"identity": Curve(EMBED_EVERY * np.arange(len(moved)) / 25, {"distance": distance}, "s")},
    )


def folds(subject: Subject) -> Measured:
    """Counts pixels where the picture is turned over or torn."""
    return Measured(fold_figures(subject.portrait, subject.rest.landmarks, size=subject.size))


def plate(subject: Subject) -> Measured:
    """Draws on magenta and looks for holes, fringes and dark lines."""
    return Measured(plate_figures(subject.renderer, subject.portrait, size=subject.size))


def speed(subject: Subject) -> Measured:
    """Measures what a frame costs."""
    return Measured(speed_figures(subject.portrait))


GROUPS: Final[dict[str, Callable[[Subject], Measured]]] = {
    "rest": rest,
    "sweeps": sweeps,
    "blink": blink,
    "pose": pose,
    "others": others,
    "folds": folds,
    "still": still,
    "plate": plate,
    "lips": lips,
    "identity": identity,
    "speed": speed,
}
