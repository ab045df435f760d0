"""SubRip subtitles as flows: a cue each, with its time. FFmpeg reads them."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass

import av

from server.presenter.flow import Flow
from server.presenter.plain import add_plain

_TIMING = re.compile(r"^[^\n]*-->[^\n]*$", re.MULTILINE)
_MILLISECONDS = 1000  # of FFmpeg's time base for SubRip


@dataclass(frozen=True, slots=True)
class Cue:
    """One subtitle.

    Attributes:
        start: when it appears, in milliseconds.
        end: when it goes.
        timing: index of its line of times in the source.
        lines: its text and the index of each line in the source.
    """

    start: int
    end: int
    timing: int
    lines: tuple[tuple[str, int], ...]


def read_cues(text: str) -> list[Cue]:
    """Returns the cues of a cleaned SubRip text in the order of their times."""
    data = text.encode(errors="replace")
    with av.open(io.BytesIO(data), "r", format="srt") as container:
        packets = [packet for packet in container.demux() if packet.size]
    cues = []
    for packet in packets:
        timing = len(data[: packet.pos].decode(errors="replace"))
        position, lines = text.find("\n", timing), []
        for line in _own_lines(bytes(packet).decode(errors="replace").split("\n")):
            found = text.find(line.strip(), max(position, 0))
            if line.strip() and found >= 0:
                lines.append((line.strip(), found))
                position = found + len(line.strip())
        if lines:
            start, length = int(packet.pts or 0), int(packet.duration or 0)
            scale = float(packet.time_base or 1 / _MILLISECONDS) * _MILLISECONDS
            end = round((start + length) * scale)
            cues.append(Cue(round(start * scale), end, timing, tuple(lines)))
    return cues


def _own_lines(lines: list[str]) -> list[str]:
    """Leaves out the number and the times of a broken cue, which FFmpeg takes for text."""
    return [
        line
        for line, following in zip(lines, [*lines[1:], ""], strict=True)
        if "-->" not in line and not ("-->" in following and line.strip().isdigit())
    ]


def subtitle_flows(text: str) -> tuple[list[Flow], list[int]]:
    """Returns the cues of a cleaned text, and where times stand that give no cue."""
    cues, flows = read_cues(text), []
    for cue in cues:
        flow = Flow(not_before=cue.start, is_whole=True)
        for line, origin in cue.lines:
            if flow.letters:
                flow.put(" ", origin)
            add_plain(flow, line, origin)
        flows.append(flow)
    known = {text.rfind("\n", 0, cue.timing) + 1 for cue in cues}
    return flows, [at.start() for at in _TIMING.finditer(text) if at.start() not in known]
