"""The harnesses by name; each is imported when it is asked for."""

from __future__ import annotations

import importlib
from typing import Final

from tools.fuzz.harness import Harness

HARNESSES: Final = {
    "picture": "pictures:PICTURE",
    "sound-file": "sounds:SOUND_FILE",
    "sound-stream": "sounds:SOUND_STREAM",
    "pcm": "sounds:PCM",
    "voice-answer": "sounds:VOICE_ANSWER",
    "script": "texts:SCRIPT",
    "answer": "texts:ANSWER",
    "speech": "texts:SPEECH",
    "address": "texts:ADDRESS",
    "message": "messages:MESSAGE",
    "realtime-event": "messages:REALTIME_EVENT",
    "completion": "messages:COMPLETION",
    "tool-call": "messages:TOOL_CALL",
    "body": "messages:BODY",
    "told": "messages:TOLD",
    "offer": "descriptions:OFFER",
    "sdp-answer": "descriptions:ANSWER",
    "fragment": "descriptions:FRAGMENT",
    "candidate": "descriptions:CANDIDATE",
    "rtcp": "packets:RTCP",
    "rtp": "packets:RTP",
    "opus": "packets:OPUS",
    "face": "packets:FACE",
    "srt": "packets:SRT",
    "motion-csv": "files:CSV",
    "motion-npz": "files:NPZ",
    "settings": "files:SETTINGS",
    "keys": "files:KEYS",
    "ledger": "files:LEDGER",
    "portrait": "files:PORTRAIT",
    "script-file": "files:SCRIPT_FILE",
    "film": "files:FILM",
    "film-webm": "files:FILM_WEBM",
    "still": "files:STILL",
    "http": "service:HTTP",
    "session": "service:SESSION",
    "realtime": "service:REALTIME",
}
# Whose branches guide the search: pure Python that reads what comes from outside.
TRACED: Final = (
    *("server.protocol", "server.config", "server.transport_feedback", "server.packet_order"),
    *(f"server.presenter.{name}" for name in ("script", "scan", "marks", "plain", "markdown")),
    *("server.presenter.assembly", "server.presenter.subtitles", "server.presenter.flow"),
    *("server.converse.spoken", "server.converse.cutter", "server.converse.completion"),
    *("server.converse.sse", "server.converse.marks", "server.whip.fragment"),
    *("server.realtime.events", "server.realtime.settings", "server.outputs.targets"),
    *("server.outputs.srt_packets", "server.puppet.live_link", "server.pipecat.routes"),
    *("server.voice.text", "server.voice.clauses", "server.voice.quantities"),
    *("server.voice.numbers", "server.media_files", "server.marks.credentials"),
    *("streaming_model.portrait.image", "streaming_model.motion_files", "aiortc.sdp"),
    *("aiortc.rtp", "aiortc.rtcpeerconnection", "python_multipart", "wave"),
    *(f"PIL.{name}ImagePlugin" for name in ("Tiff", "Png", "Jpeg", "Gif", "WebP", "Bmp", "Ppm")),
    *("PIL.Jpeg2KImagePlugin", "PIL.MpoImagePlugin", "PIL.QoiImagePlugin"),
)


def find(name: str) -> Harness:
    """Returns a harness.

    Raises:
        KeyError: there is none of that name.
    """
    module, _, attribute = HARNESSES[name].partition(":")
    harness = getattr(importlib.import_module(f"tools.fuzz.{module}"), attribute)
    assert isinstance(harness, Harness)
    return harness
