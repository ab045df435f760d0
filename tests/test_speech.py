"""The speech queue: order, padding, underrun and interruption."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from server.ingest import AlignedAudio
from server.speech import BLOCK, Block, Passage, SpeechQueue, characters_said


def audio(samples: int, level: float = 0.5) -> AlignedAudio:
    return AlignedAudio(
        np.full(samples, level, np.float32), np.full(3 * samples, level, np.float32)
    )


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=8))
def test_all_audio_comes_out_once_in_order(sizes: list[int]) -> None:
    queue = SpeechQueue()
    queue.open(1)
    values = np.arange(sum(sizes), dtype=np.float32)
    for piece in np.split(values, np.cumsum(sizes)[:-1]):
        queue.append(1, AlignedAudio(piece, np.repeat(piece, 3)))
    queue.complete(1)
    blocks: list[Block] = []
    while not queue.is_empty:
        block = queue.take(len(blocks) * BLOCK)
        assert block is not None
        blocks.append(block)
    heard = np.concatenate([block.speech for block in blocks])
    np.testing.assert_array_equal(heard[: len(values)], values)
    assert not heard[len(values) :].any()
    assert len(heard) - len(values) < BLOCK
    assert [block.begins for block in blocks] == [True] + [False] * (len(blocks) - 1)
    assert [block.ends for block in blocks] == [False] * (len(blocks) - 1) + [True]


def test_an_underrun_gives_nothing_until_a_whole_block_is_there() -> None:
    queue = SpeechQueue()
    queue.open(1)
    assert queue.take(0) is None
    queue.append(1, audio(BLOCK - 1))
    assert queue.take(0) is None
    queue.append(1, audio(1))
    assert queue.take(0) is not None
    assert queue.take(BLOCK) is None
    assert not queue.is_empty  # it may still receive more


def test_utterances_follow_each_other_and_keep_their_numbers() -> None:
    queue = SpeechQueue()
    for number in (1, 2):
        queue.open(number)
        queue.append(number, audio(BLOCK))
        queue.complete(number)
    blocks = [queue.take(0), queue.take(BLOCK)]
    assert [block.utterance for block in blocks if block] == [1, 2]


def test_subtitles_come_with_the_block_in_which_their_audio_begins() -> None:
    queue = SpeechQueue()
    queue.open(1)
    queue.append(1, audio(BLOCK + 10), "first")
    queue.append(1, audio(BLOCK), "second")
    queue.complete(1)
    texts = []
    while (block := queue.take(0)) is not None:
        texts.append(block.texts)
    assert texts == [("first",), ("second",), ()]


def test_an_utterance_without_audio_still_begins_and_ends() -> None:
    queue = SpeechQueue()
    queue.open(1)
    queue.complete(1)
    block = queue.take(0)
    assert block is not None
    assert block.begins
    assert block.ends
    assert not block.speech.any()
    assert queue.is_empty


def test_dropping_tells_which_utterances_were_never_heard() -> None:
    queue = SpeechQueue()
    for number in (1, 2, 3):
        queue.open(number)
        queue.append(number, audio(2 * BLOCK))
    queue.take(0)
    assert queue.drop_before(3) == [2]
    assert not queue.append(1, audio(BLOCK))
    assert not queue.holds(1)
    assert queue.holds(3)
    assert queue.samples == 2 * BLOCK


def test_a_clause_of_unknown_length_is_said_when_all_of_its_pieces_are() -> None:
    """As of a speech server, which streams a clause and does not say how long it will be."""
    queue = SpeechQueue()
    queue.open(1)
    text = "four words are here"
    queue.append(1, audio(8_000), text, passage=Passage(text, 0, 0, 8_000))
    for _ in range(3):
        queue.append(1, audio(8_000), continues=True)
    queue.append(1, audio(3_200))  # a pause is no part of it
    queue.complete(1)
    said = []
    while (block := queue.take(0)) is not None:
        said.append(block.characters[-1])
    assert said[len(said) // 4] == len("four")
    assert said.index(len(text)) == 32_000 // BLOCK - 1


def test_a_word_drawn_out_is_not_taken_for_many() -> None:
    """Sounds count, not their length: the pause before the last word says nothing of it."""
    sounds = (1_000, 2_000, 3_000, 3_500, 4_000, 16_000)
    passage = Passage("say it now", 0, 0, 16_000, sounds)
    assert [characters_said([passage], at) for at in (1_500, 2_500, 8_000, 16_000)] == [0, 3, 6, 10]
    unknown = Passage("say it now", 0, 0, 16_000)
    assert characters_said([unknown], 2_500) == 0
