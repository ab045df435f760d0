"""Where a text that broke off is said on."""

from __future__ import annotations

import doctest

from hypothesis import given
from hypothesis import strategies as st

import server.unheard
from server.protocol import SpeakEnded, SpeakStarted
from server.speech import Piece
from server.unheard import Asked, Rest, Unheard, from_character, sentence_at
from server.voice.clauses import split_sentences

_words = st.lists(st.sampled_from(["one", "two", "three.", "Four", "five!", "six,"]), min_size=1)


def test_the_examples_hold() -> None:
    assert doctest.testmod(server.unheard).failed == 0


@given(_words, st.integers(0, 200))
def test_at_most_one_sentence_is_said_again_and_none_is_left_out(
    words: list[str], heard: int
) -> None:
    text = " ".join(words)
    start = sentence_at(text, heard)
    again = [pair for pair in split_sentences(text) if start <= pair[0] < heard]
    assert len(again) <= 1
    assert not any(map(str.isalnum, text[heard:start]))  # all that is left out was heard


async def test_the_rest_of_a_text_is_given_once_with_its_place() -> None:
    rest = Rest("One. Two.", 5)
    pieces = [await rest.next(is_hungry=bool, is_wanted=bool) for _ in range(2)]
    assert pieces == [Piece("Two.", 5), None]
    assert await Rest("One. ", 5).next(is_hungry=bool, is_wanted=bool) is None


def test_pieces_that_were_heard_are_passed_over() -> None:
    assert from_character(Piece("One. ", 0), 5) is None
    assert from_character(Piece("One. Two.", 0, 300), 5) == Piece("Two.", 5, 300)
    assert from_character(Piece("Three.", 10), 5) == Piece("Three.", 10)


def test_what_has_ended_is_forgotten() -> None:
    unheard = Unheard()
    for number in (1, 2, 3, 4):
        unheard.add(Asked(number, "text"))
    unheard.heed(SpeakEnded(1, 0, interrupted=False))
    assert [each.number for each in unheard] == [2, 3, 4]
    unheard.heed(SpeakStarted(3, 0))  # its predecessor had nothing to say
    assert [each.number for each in unheard] == [3, 4]
