"""What one session says next: what was asked for first, then the live voice, else silence."""

from __future__ import annotations

import asyncio

from server.arrivals import Arrivals
from server.clock import Clock, sleep_until_or
from server.echo import PlayedSound
from server.media_clock import MediaClock
from server.microphone import MicrophoneLane
from server.picture import Origin
from server.sound_log import SoundLog
from server.speech import Block, SpeechQueue, silent_block


class Sources:
    """The sound of one session before it has a time.

    Attributes:
        queue: what waits to be said.
        microphone: the live voice.
        utterance: the number that silence carries now.
        origin: where the latest block's sound came from, and when.
    """

    def __init__(self, clock: Clock, media_clock: MediaClock, played: PlayedSound) -> None:
        """Takes what it needs; the media clock is made to follow the live voice."""
        self._news = asyncio.Event()
        self.queue = SpeechQueue(self._news.set, clock.now)
        self.microphone = MicrophoneLane(played, self._note_voice, self._note_sound)
        self.utterance = 0
        self.origin = Origin()
        self._voiced = SoundLog()
        self._arrivals = Arrivals()
        self._clock = clock
        self._media_clock = media_clock

    @property
    def is_late(self) -> bool:
        """Whether the live voice is being said, and its next sound has not come yet."""
        return self.queue.is_empty and self.microphone.is_late

    def take(self, start: int) -> Block:
        """Returns the block that begins at media time `start`."""
        block, self.origin = self.queue.take(start), Origin()
        if block is not None:
            self.origin = Origin("queue", self.queue.arrived)
        if block is None and self.queue.is_empty:
            block = self._take_voice(start)
        else:
            self.microphone.pause()
        if block is None:
            return silent_block(start, self.utterance)
        self.utterance = max(self.utterance, block.utterance)
        return block

    def forget_news(self) -> None:
        """Lets `wait` wait for what comes from now on."""
        self._news.clear()

    async def wait(self, instant: int) -> None:
        """Returns at the instant, or as soon as there is more to say."""
        await sleep_until_or(self._clock, instant, self._news)

    def _take_voice(self, start: int) -> Block | None:
        was_flowing, now = self.microphone.is_flowing, self._clock.now()
        block = self.microphone.take(start, self.utterance)
        if block is not None:
            self.origin = Origin("voice", self._voiced.arrival(self.microphone.samples))
        if was_flowing and self.microphone.is_flowing:
            due = self._media_clock.due(start)
            self._arrivals.taken(due, now, left_over=self.microphone.samples)
            self._media_clock.shift(self._arrivals.shift())
        else:
            self._arrivals.break_off(now)
        return block

    def _note_sound(self, samples: int) -> None:
        self._voiced.note(samples, self._clock.now())
        self._voiced.forget(self.microphone.samples)  # what was cut, or is never said

    def _note_voice(self) -> None:
        self._arrivals.complete(self._clock.now())
        self._news.set()
