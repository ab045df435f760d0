"""Turns a clause of any text into words that can be read aloud.

Numbers, dates, money, addresses, abbreviations and symbols become words; what cannot be
pronounced in English is left out and reported. No Unicode text is an error.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from server.voice.abbreviations import (
    ABBREVIATIONS,
    NEEDS_NUMBER,
    NEEDS_POINT,
    NUMBERED,
    REGNAL,
    SYMBOLS,
)
from server.voice.markup import plain
from server.voice.numbers import cardinal, digits, ordinal, roman
from server.voice.quantities import read_quantity
from server.voice.tokens import Token

LONGEST_ADDRESS = 60  # characters of a web address that are read; of a longer one the host only
LONGEST_ACRONYM = 5  # letters; a longer unknown word in capitals is read as a word
LONGEST_SPELLED = 8  # letters; a longer word without a vowel is attempted as a word
LONGEST_REPORT = 40  # characters of a skipped piece that are reported
LETTERS_TO_ASCII = str.maketrans({
    "ß": "ss", "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "ø": "o", "Ø": "O", "đ": "d",
    "Đ": "D", "ð": "th", "Ð": "Th", "þ": "th", "Þ": "Th", "ł": "w", "Ł": "W", "ı": "i",
    "ħ": "h", "ŋ": "ng", "ə": "a",
})  # fmt: skip
ADDRESS = re.compile(
    r"(?P<scheme>https?://|www\.)(?P<rest>[^\s<>,;\"']+)"
    r"|(?P<user>[\w.+-]{1,64})@(?P<domain>[\w-]{1,63}(?:\.[\w-]{1,63}){1,8})"
    r"|(?P<site>\b[A-Za-z][\w-]{0,62}\.(?:com|org|net|io|dev|ai|edu|gov|co\.uk|app)\b(?:/[^\s,;]*)?)"
)
DOTTED = re.compile(r"(?:[A-Za-z]\.){2,}[A-Za-z]?(?![A-Za-z])|[A-Z]\.(?= ?[A-Z])")
WORD = re.compile(r"[^\W\d_²³]+(?:'[^\W\d_²³]+)*'?")
LATIN = re.compile(r"[A-Za-z]+(?:'[A-Za-z]+)*'?")
REPEATED = re.compile(r"(.)\1{3,}")  # nooooo
HUMPS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
SPOKEN_SYMBOLS = frozenset("&+=%@÷×≈≤≥→∞√±≠°§¶½⅓⅔¼¾⅛²³µαβγδεθλμπστφωΔΣΩ$£€")
SILENT = frozenset("'\"()[]{}<>*_^`~|\\/-–#")  # between words these are not even reported
Knows = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Spoken:
    """What to read for a clause, and what cannot be read."""

    tokens: tuple[Token, ...]
    skipped: tuple[str, ...]


def readable(text: str) -> str:
    """Returns `text` without markup, for engines that do the rest themselves."""
    return " ".join(plain(text).split())


def spoken_form(text: str, *, knows: Knows) -> Spoken:
    """Returns what to say for one clause.

    Args:
        text: any text.
        knows: says whether a dictionary holds a word; decides what is an acronym.
    """
    return _Reader(readable(text), knows).read()


class _Reader:
    """Walks once over a clause; every step reads at least one character."""

    def __init__(self, text: str, knows: Knows) -> None:
        self._text = text
        self._knows = knows
        self._position = 0
        self._tokens: list[Token] = []
        self._skipped: list[str] = []
        self._shouting = text.isupper() and sum(map(str.isalpha, text)) > LONGEST_ACRONYM

    def read(self) -> Spoken:
        """Returns the whole clause."""
        steps = (self._address, self._dotted, self._quantity, self._word, self._pause)
        while self._position < len(self._text):
            if not any(step() for step in steps):
                self._symbol()
        return Spoken(_tidy(self._tokens), tuple(self._skipped))

    def _say(self, words: str, *, to: int) -> bool:
        """Adds words with commas, and moves on to the position `to`."""
        for piece in re.findall(r"'?[A-Za-z]+(?:['-][A-Za-z]+)*'?|,", words):
            if piece == ",":
                self._tokens.append(Token(",", "pause"))
            elif piece in ("AM", "PM") or (len(piece) == 1 and piece.isupper() and piece != "I"):
                self._tokens.append(Token(piece, "letters"))
            else:
                self._tokens.append(Token(piece))
        self._position = to
        return True

    def _spell(self, letters: str, *, to: int) -> bool:
        self._tokens.append(Token(letters.upper(), "letters"))
        self._position = to
        return True

    def _address(self) -> bool:
        match = ADDRESS.match(self._text, self._position)
        if match is None:
            return False
        whole = match.group().rstrip(".!?):")
        end = match.start() + len(whole)
        bare = re.sub(r"^(?:https?://)?(?:www\.)?", "", whole).rstrip("/")
        if len(bare) > LONGEST_ADDRESS:
            bare = re.split(r"[/?#]", bare)[0][:LONGEST_ADDRESS]
        for piece in re.findall(r"[A-Za-z]+|\d+|[@./_-]", bare):
            if piece.isdigit():
                self._say(digits(piece) if len(piece) > 2 else cardinal(int(piece)), to=end)
            elif piece in "@./_-":
                names = {"@": "at", ".": "dot", "/": "slash", "_": "underscore", "-": "dash"}
                self._say(names[piece], to=end)
            elif len(piece) < 4 and not self._knows(piece.lower()):
                self._spell(piece, to=end)
            else:
                self._say(piece.lower(), to=end)
        self._position = end
        return True

    def _dotted(self) -> bool:
        """Reads U.S.A., e.g., and the initials of J. R. R. Tolkien."""
        if self._position and self._text[self._position - 1].isalnum():
            return False
        match = DOTTED.match(self._text, self._position)
        if match is None:
            return False
        known = ABBREVIATIONS.get(match.group().rstrip(".").lower())
        if known is not None:
            return self._say(known, to=match.end())
        return self._spell(match.group().replace(".", ""), to=match.end())

    def _quantity(self) -> bool:
        character = self._text[self._position]
        if character.isalpha() and not self._starts_date():
            return False
        found = read_quantity(self._text, self._position)
        if found is None:
            return False
        words, end = found
        return self._say(words, to=end)

    def _starts_date(self) -> bool:
        at_start = not self._position or not self._text[self._position - 1].isalnum()
        return at_start and self._text[self._position] in "JFMASONDtv"

    def _word(self) -> bool:
        match = WORD.match(self._text, self._position)
        if match is None:
            return False
        word = REPEATED.sub(r"\1\1", _ascii(match.group()))
        if self._text[self._position - 1 : self._position] == "'" and self._knows(f"'{word}"):
            word = f"'{word}"  # 'tis, 'em
        if LATIN.fullmatch(word.lstrip("'")) is None:
            if match.group() in SYMBOLS:
                return self._say(SYMBOLS[match.group()], to=match.end())
            self._position = match.end()
            self._skip(match.group())
            return True
        if self._abbreviation(word, match.end()) or self._numeral(word, match.end()):
            return True
        return self._plain_word(word, match.end())

    def _abbreviation(self, word: str, end: int) -> bool:
        lower = word.lower()
        full = ABBREVIATIONS.get(lower)
        has_point = self._text[end : end + 1] == "."
        if full is None or (lower in NEEDS_POINT and not has_point):
            return False
        after = self._text[end + has_point :].lstrip()[:1]
        if lower in NEEDS_NUMBER and not after.isdigit():
            return False
        if lower == "st":
            follows_name = bool(self._tokens) and self._tokens[-1].text[:1].isupper()
            full = "saint" if after.isupper() and not follows_name else "street"
        return self._say(full, to=end + (has_point and (bool(after) or lower in NEEDS_POINT)))

    def _numeral(self, word: str, end: int) -> bool:
        """Reads a Roman numeral after a king's name or a numbered thing."""
        value = roman(word)
        before = self._tokens[-1].text if self._tokens else ""
        if not value or not before[:1].isalpha() or self._shouting:
            return False
        if before.lower() in REGNAL:
            return self._say(f"the {ordinal(value)}", to=end)
        is_counted = before.lower() in NUMBERED
        after_name = before[:1].isupper() and len(word) > 1 and set(word) <= set("IVX")
        return self._say(cardinal(value), to=end) if is_counted or after_name else False

    def _plain_word(self, word: str, end: int) -> bool:
        lower = word.lower().rstrip("'")
        if lower == "a" and not self._text[end : end + 1].isdigit():
            return self._say("a", to=end)
        if len(lower) > 1 and word.isupper() and self._is_acronym(word):
            return self._spell(word, to=end)
        if self._shouting or self._knows(word):
            return self._say(word, to=end)
        humps = HUMPS.findall(word)
        if word.endswith("s") and word[:-1].isupper() and len(word) > 2:
            self._spell(word[:-1], to=end)
            self._tokens[-1] = Token(word[:-1] + "'s", "letters")
            return True
        if len(humps) > 1 and "'" not in word and not self._knows(lower):
            for hump in humps:
                if hump.isupper() and (len(hump) > 1 or hump not in "AI"):
                    self._spell(hump, to=end)
                else:
                    self._say(hump, to=end)
            return True
        has_vowel = any(letter in "aeiouyAEIOUY" for letter in word)
        if not has_vowel and len(word) <= LONGEST_SPELLED:
            return self._spell(word.replace("'", ""), to=end)
        return self._say(word, to=end)

    def _is_acronym(self, word: str) -> bool:
        if self._shouting:
            return False
        if word in ("US", "IT", "UN", "EU", "UK", "AM", "PM"):
            return True
        before, after = self._text[: self._position][-1:], self._text[self._position + len(word) :]
        if len(word) < 3 and (before == "&" or after[:1] == "&"):
            return True
        return len(word) <= LONGEST_ACRONYM and not self._knows(word)

    def _pause(self) -> bool:
        """Reads punctuation: the strongest mark of a run."""
        match = re.compile(r"[,.!?;:—…]+").match(self._text, self._position)
        if match is None:
            spaced = re.compile(r" [-–] |--+").match(self._text, self._position)
            if spaced is None:
                return False
            self._tokens.append(Token("—", "pause"))
            self._position = spaced.end()
            return True
        run = match.group()
        mark = "…" if run.startswith(("..", "…")) else next((m for m in "?!" if m in run), run[-1])
        self._tokens.append(Token(mark, "pause"))
        self._position = match.end()
        return True

    def _symbol(self) -> None:
        """Reads, drops or reports one character that nothing else has read."""
        character = self._text[self._position]
        after = self._text[self._position + 1 : self._position + 2]
        self._position += 1
        if character == "#" and after.isalnum():
            self._say("number" if after.isdigit() else "hashtag", to=self._position)
        elif character in SPOKEN_SYMBOLS:
            self._say(SYMBOLS[character], to=self._position)
        elif character == "/" and after.isalpha() and self._tokens:
            return
        elif character in "<>~" and after.isdigit():
            self._say(SYMBOLS[character], to=self._position)
        elif not character.isspace() and character not in SILENT:
            self._skip(character)

    def _skip(self, piece: str) -> None:
        """Reports a piece; neighbouring pieces are reported as one."""
        joins = self._skipped and self._text[: self._position].endswith(self._skipped[-1])
        if joins and len(self._skipped[-1]) < LONGEST_REPORT:
            self._skipped[-1] += piece[:LONGEST_REPORT]
        else:
            self._skipped.append(piece[:LONGEST_REPORT])


def _ascii(word: str) -> str:
    """Returns the word without diacritics; letters of other scripts stay as they are."""
    decomposed = unicodedata.normalize("NFKD", word.translate(LETTERS_TO_ASCII))
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def _tidy(tokens: list[Token]) -> tuple[Token, ...]:
    """Drops pauses at the start and all but the last of a run of pauses."""
    kept: list[Token] = []
    for token in tokens:
        if token.kind != "pause":
            kept.append(token)
        elif kept and kept[-1].kind == "pause":
            kept[-1] = token
        elif kept:
            kept.append(token)
    return tuple(kept)
