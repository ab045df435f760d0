"""How good is good enough: the limits that the model's figures must keep."""

from __future__ import annotations

from typing import Final

from benchmarks.renderer.limits import Limit

LIMITS: Final[tuple[Limit, ...]] = (
    Limit("P B M closed", ("closure",), least=0.95, decimals=3),
    Limit("P B M closed, lookahead 0", ("closure, lookahead 0",), least=0.85, decimals=3),
    Limit("P B M closed, recorded voice", ("closure, recorded",), least=0.85, decimals=3),
    Limit("F V at the teeth", ("bite",), least=0.90, decimals=3),
    Limit("open vowels closed", ("false closure",), most=0.03, decimals=3),
    Limit("opening follows the oracle, r", ("correlation",), least=0.85, decimals=3),
    Limit("lag, ms", ("lag size",), most=20, decimals=0),
    Limit("audio shifted 1 to 4 frames, worst miss, ms", ("shift miss",), most=20, decimals=0),
    Limit("apart from the teacher, %", ("from teacher %",), most=5, decimals=1),
    Limit("two seeds' heads apart, of their spread", ("seeds head",), least=0.5),
    Limit("two seeds' lips, r", ("seeds lips",), least=0.95, decimals=3),
    Limit(
        "mouth error of a face over energy's", ("facegood, energy learnt",), most=0.75, decimals=3
    ),
    Limit("the same, energy told the mean shape", ("facegood, energy",), most=0.75, decimals=3),
    Limit("mouth error of a face over mean's", ("facegood, mean",), most=1.0),
    Limit("mouth without speech, % of its range", ("open without speech %",), most=5, decimals=1),
    Limit("speed at chunk borders over elsewhere", ("head seam", "mouth seam"), most=1.15),
    Limit("blinks a minute, at least", ("blinks",), least=10, decimals=1),
    Limit("blinks a minute, at most", ("blinks",), most=20, decimals=1),
    Limit("frames with a coefficient at its limit, %", ("at the limit %",), most=1, decimals=1),
    Limit("head stays out of place, degrees", ("lean",), most=3, decimals=1),
    Limit("minute 60 from minute 1, %", ("drift %",), most=15, decimals=1),
    Limit("ms of a core a frame", ("cost",), most=2),
)
