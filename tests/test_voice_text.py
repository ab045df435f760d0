"""Any text becomes words, or is reported; never an error."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.voice.clauses import LIMITS, split_clauses
from server.voice.numbers import cardinal, decimal, ordinal, roman, year
from server.voice.text import readable, spoken_form

COMMON = frozenset({
    "a", "and", "are", "at", "be", "bob", "bold", "code", "com", "example", "from", "how",
    "i", "in", "is", "it", "it's", "john", "link", "loud", "louis", "main", "may", "met",
    "nasa", "not", "of", "on", "or", "org", "read", "shouting", "smith", "stop", "text",
    "the", "this", "to", "very", "war", "world",
})  # fmt: skip


def words(text: str) -> str:
    spoken = spoken_form(text, knows=lambda word: word.lower() in COMMON)
    return " ".join(
        f"<{token.text}>" if token.kind == "letters" else token.text for token in spoken.tokens
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$5.50", "five dollars and fifty cents"),
        ("£2 million", "two million pounds"),
        ("3.14%", "three point one four percent"),
        ("in 1999", "in nineteen ninety-nine"),
        ("the 1990s", "the nineteen nineties"),
        ("10:30am", "ten thirty <AM>"),
        ("14:05", "fourteen oh five"),
        ("2024-05-17", "may seventeenth , twenty twenty-four"),
        ("May 3rd, 2021", "may third , twenty twenty-one"),
        ("17.05.2024", "may seventeenth , twenty twenty-four"),
        ("+1 555-123-4567", "plus one , five five five , one two three , four five six seven"),
        ("20°C", "twenty degrees celsius"),
        ("100 km/h", "one hundred kilometres per hour"),
        ("10-20 MB", "ten to twenty megabytes"),
        ("1920x1080", "one thousand nine hundred and twenty by one thousand and eighty"),
        ("-5", "minus five"),
        ("1/2", "one half"),
        ("22nd", "twenty-second"),
        (
            "1,234,567",
            "one million two hundred and thirty-four thousand five hundred and sixty-seven",
        ),
        ("Dr. Smith", "doctor Smith"),
        ("12 Main St.", "twelve Main street"),
        ("St. John", "saint John"),
        ("e.g. it", "for example it"),
        ("Louis XIV", "Louis the fourteenth"),
        ("World War II", "World War two"),
        ("the USA", "the <USA>"),
        ("NASA", "NASA"),
        ("GPUs", "<GPU's>"),
        ("R&D", "<R> and <D>"),
        ("THIS IS SHOUTING", "THIS IS SHOUTING"),
        ("www.example.com/a", "example dot com slash a"),
        ("bob@mail.org", "bob at mail dot org"),
        ("**Bold** `code` [link](http://x.y/z)", "Bold code link"),
        ("<b>it</b> &amp; text", "it and text"),
        ("🎉 it 🎉", "it"),
        ("x² + 1", "<X> squared plus one"),
        ("# The text", "The text"),
        ("ﬁve", "five"),
        ("٣", "three"),
    ],
)
def test_reads_what_is_not_words(text: str, expected: str) -> None:
    assert words(text) == expected


def test_reports_what_cannot_be_pronounced() -> None:
    spoken = spoken_form("the 日本語 and Москва text", knows=lambda word: word in COMMON)
    assert spoken.skipped == ("日本語", "Москва")
    assert [token.text for token in spoken.tokens] == ["the", "and", "text"]


def test_emoji_and_markup_are_not_reported() -> None:
    assert spoken_form("**the** 🎉👩‍🚀 text ✨", knows=COMMON.__contains__).skipped == ()


@given(st.text(max_size=300))
@settings(max_examples=300, deadline=None)
def test_any_text_becomes_ascii_words(text: str) -> None:
    spoken = spoken_form(text, knows=COMMON.__contains__)
    for token in spoken.tokens:
        assert token.text.isascii() or token.text in "—…"
        assert token.kind in ("word", "letters", "pause")
    assert all(piece for piece in spoken.skipped)
    assert "\n" not in readable(text)


@given(st.text(alphabet=st.sampled_from("ab.,!? \n—-1。é)\"'"), max_size=600))
@settings(max_examples=300, deadline=None)
def test_clauses_hold_everything_in_order(text: str) -> None:
    position = 0
    for clause in split_clauses(text):
        assert not text[position : clause.start].strip()
        assert clause.start < clause.end
        assert clause.pause_seconds > 0
        position = clause.end
    assert not text[position:].strip()


def test_the_first_clause_is_short_and_later_ones_are_bounded() -> None:
    sentence = "one two three four, five six and seven eight nine ten eleven twelve " * 40
    clauses = split_clauses(sentence)
    assert clauses[0].end - clauses[0].start <= LIMITS[0]
    assert all(clause.end - clause.start <= LIMITS[-1] for clause in clauses)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dr. Smith came. He left.", ["Dr. Smith came.", "He left."]),
        ("It cost 3.50 euros. Yes!", ["It cost 3.50 euros.", "Yes!"]),
        ("J. R. R. Tolkien wrote it.", ["J. R. R. Tolkien wrote it."]),
        ("What?! No.", ["What?!", "No."]),
        ('He said "stop." Then he ran.', ['He said "stop."', "Then he ran."]),
        ("- one\n- two", ["- one", "- two"]),
        ("Title\n\nText", ["Title", "Text"]),
        ("a line that is\nwrapped here", ["a line that is\nwrapped here"]),
        ("Cats, dogs, etc. are fine.", ["Cats, dogs, etc. are fine."]),
    ],
)
def test_sentences_end_where_people_end_them(text: str, expected: list[str]) -> None:
    assert [text[clause.start : clause.end] for clause in split_clauses(text)] == expected


@given(st.integers(0, 10**20))
def test_cardinals_have_only_words(number: int) -> None:
    assert cardinal(number).replace(" ", "").replace("-", "").isalpha()


@given(st.integers(1, 399))
def test_roman_numerals_round_trip(number: int) -> None:
    numeral = ""
    rest = number
    for value, letters in (
        (100, "C"), (90, "XC"), (50, "L"), (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"),
        (1, "I"),
    ):  # fmt: skip
        while rest >= value:
            numeral += letters
            rest -= value
    assert roman(numeral) == number
    assert roman(numeral + "Q") == 0


def test_numbers_in_words() -> None:
    assert cardinal(1_000_005) == "one million and five"
    assert cardinal(-12) == "minus twelve"
    assert ordinal(112) == "one hundred and twelfth"
    assert ordinal(30) == "thirtieth"
    assert [year(n) for n in (1066, 1900, 1905, 2000, 2007, 2024)] == [
        "ten sixty-six", "nineteen hundred", "nineteen oh five", "two thousand",
        "two thousand and seven", "twenty twenty-four",
    ]  # fmt: skip
    assert decimal("-0.5") == "minus zero point five"
    assert decimal("007") == "zero zero seven"
