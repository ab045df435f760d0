"""The live voice: modes, numbering, and a buffer that stays short."""

from __future__ import annotations

import numpy as np

from server.echo import PlayedSound
from server.microphone import MicrophoneLane, Mode
from server.speech import BLOCK, Block

_PACKET = 960  # samples at 48 kHz, 20 ms


def lane(mode: Mode) -> MicrophoneLane:
    microphone = MicrophoneLane(PlayedSound())
    microphone.switch(mode)
    return microphone


def hear(microphone: MicrophoneLane, packets: int, level: float = 0.0) -> None:
    sound = (np.random.default_rng(0).normal(0, level or 1e-9, _PACKET) * 32767).astype("<i2")
    for _ in range(packets):
        microphone.push(sound.tobytes(), sample_rate=48_000, channels=1)


def blocks(microphone: MicrophoneLane, utterance: int = 0) -> list[Block]:
    taken: list[Block] = []
    while (block := microphone.take(len(taken) * BLOCK, utterance)) is not None:
        taken.append(block)
    return taken


def test_off_hears_nothing_and_listen_says_nothing() -> None:
    for mode in ("off", "listen"):
        microphone = lane(mode)
        hear(microphone, 10)
        assert blocks(microphone) == []


def test_a_puppet_says_what_it_hears_after_forty_milliseconds() -> None:
    microphone = lane("puppet")
    hear(microphone, 1)
    assert blocks(microphone) == []
    hear(microphone, 1)
    assert len(blocks(microphone)) == 1


def test_two_packets_make_a_block_each_time_though_the_decimator_holds_back() -> None:
    microphone = lane("puppet")
    for _ in range(20):
        hear(microphone, 2, level=0.1)
        assert microphone.take(0, 0) is not None
        assert microphone.samples == 0


def test_the_buffer_is_cut_in_pauses_and_never_grows_past_its_limit() -> None:
    microphone = lane("puppet")
    for _ in range(50):
        hear(microphone, 1)
        assert microphone.samples <= 160 * 16
    hear(microphone, 500)
    assert microphone.samples <= 160 * 16


def test_what_was_lost_is_silence_while_a_voice_is_said() -> None:
    microphone = lane("puppet")
    hear(microphone, 2, level=0.1)
    assert microphone.take(0, 0) is not None
    packet = np.full(_PACKET, 3_000, "<i2").tobytes()
    microphone.push(packet, sample_rate=48_000, channels=1, missing=_PACKET)
    block = microphone.take(BLOCK, 0)
    assert block is not None
    assert np.abs(block.sound[100:900]).max() == 0
    assert np.abs(block.sound[1_100:]).min() > 0.05


def test_a_microphone_that_sends_nothing_in_silence_begins_anew() -> None:
    microphone = lane("puppet")
    hear(microphone, 2)
    blocks(microphone)
    for _ in range(10):  # a packet of comfort noise every 400 ms
        packet = np.zeros(_PACKET, "<i2").tobytes()
        microphone.push(packet, sample_rate=48_000, channels=1, missing=19 * _PACKET)
        assert blocks(microphone) == []
    hear(microphone, 1)
    assert len(blocks(microphone)) == 1


def test_an_utterance_is_numbered_from_its_beginning_to_its_end() -> None:
    microphone = lane("puppet")
    hear(microphone, 7, level=0.1)
    microphone.begin(5)
    first, second = blocks(microphone, utterance=4)[:2]
    assert (first.utterance, first.begins, first.is_speech) == (5, True, True)
    assert (second.utterance, second.begins) == (5, False)
    microphone.end()
    hear(microphone, 4)
    last = blocks(microphone, utterance=4)
    assert last[0].ends
    hear(microphone, 4)
    after = blocks(microphone, utterance=5)
    assert not after[0].is_speech
    assert after[0].utterance == 5


def test_a_microphone_that_goes_away_ends_its_utterance() -> None:
    microphone = lane("puppet")
    microphone.begin(3)
    microphone.reset()
    (closing,) = blocks(microphone)
    assert (closing.utterance, closing.begins, closing.ends) == (3, True, True)


def test_an_interruption_forgets_what_waits() -> None:
    microphone = lane("puppet")
    hear(microphone, 7)
    microphone.begin(2)
    microphone.interrupt()
    assert microphone.samples == 0
    hear(microphone, 4)
    assert blocks(microphone, utterance=3)[0].utterance == 3
