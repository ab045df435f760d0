"""Speech to motion: `load_motion_generator` gives the block that turns audio into motion."""

from streaming_model.motion.additive import Additions, Gesture, LiveFrames
from streaming_model.motion.generator import MotionGenerator, load_motion_generator
from streaming_model.motion.state import MotionState
from streaming_model.motion.style import Activity, MotionStyle

__all__ = [
    "Activity",
    "Additions",
    "Gesture",
    "LiveFrames",
    "MotionGenerator",
    "MotionState",
    "MotionStyle",
    "load_motion_generator",
]
