"""What of one session goes into the audit log: its texts, its sound, its films and its end.

It hashes texts and keeps none.
"""

from __future__ import annotations

from server.audit import AuditLog, text_hash
from server.converse.live_text import LiveText
from server.protocol import OutputUpdated, RecordingUpdated, ServerEvent, SpeakEnded, UserTranscript


class SessionAudit:
    """One session's notes."""

    def __init__(self, audit: AuditLog) -> None:
        self._audit = audit
        self._writing: dict[int, LiveText] = {}

    def text(self, deed: str, text: str, **what: str | int | None) -> None:
        """Notes a text that is to be said, read or answered.

        Raises:
            AuditError: it could not be noted.
        """
        self._audit.note(deed, text_sha256=text_hash(text), characters=len(text), **what)

    def note(self, deed: str, **what: str | int | None) -> None:
        """Notes anything else.

        Raises:
            AuditError: it could not be noted.
        """
        self._audit.note(deed, **what)

    def audio(self, number: int, sha256: str, size: int) -> None:
        """Notes what sound came for an utterance, once no more will."""
        self._audit.tell("audio.ended", utterance=number, audio_sha256=sha256, bytes=size)

    def follow(self, text: LiveText) -> None:
        """Will note a text that is being written, once it is complete or broken off."""
        self._writing[text.number] = text

    def finished(self, number: int) -> None:
        """Notes such a text as far as it was written."""
        text = self._writing.pop(number, None)
        if text is not None:
            raw = text.spoken.raw
            hashed = text_hash(raw)
            self._audit.tell("text", utterance=number, text_sha256=hashed, characters=len(raw))

    def heed(self, event: ServerEvent) -> None:
        """Notes what the session's events tell."""
        match event:
            case SpeakEnded(utterance=utterance):
                self.finished(utterance)
            case UserTranscript(text=text, source=source):
                hashed = text_hash(text)
                self._audit.tell(
                    "user.text", source=source, text_sha256=hashed, characters=len(text)
                )
            case RecordingUpdated(recording=recording, state=state):
                self._audit.tell("recording", recording=recording, state=state)
            case OutputUpdated(output=output, url=url, state=state):
                self._audit.tell("output", output=output, url=url, state=state)

    def closed(self, reason: str, seconds: float) -> None:
        """Notes the session's end, and texts that it cut off."""
        for number in list(self._writing):
            self.finished(number)
        self._audit.tell("session.closed", reason=reason, seconds=round(seconds, 1))
