"""Takes away what is written for the eye: Markdown, HTML, emoji, invisible characters."""

from __future__ import annotations

import html
import re
import unicodedata

# Applied in order. Each pattern is linear: no nested repetition.
MARKDOWN = tuple(
    (re.compile(pattern, re.MULTILINE), replacement)
    for pattern, replacement in (
        (r"^[ \t]*(?:```|~~~)[^\n]*$", " "),  # fences of code
        (r"!?\[([^\[\]\n]{0,500})\]\([^()\s]{0,2000}\)", r"\1"),  # links and pictures
        (r"<(https?://[^<>\s]{1,2000})>", r"\1"),
        (r"</?[A-Za-z][^<>\n]{0,200}>", " "),  # HTML tags
        (r"^[ \t]{0,8}#{1,6}[ \t]+", ""),  # headings
        (r"^[ \t]{0,8}>[ \t]?", ""),  # quotations
        (r"^[ \t]{0,12}[-*+•·][ \t]+(?:\[[ xX]\][ \t]+)?", ""),  # list marks, tick boxes
        (r"^[ \t]*(?:[-*_][ \t]?){3,}$", " "),  # rules
        (r"^[ \t|:+-]+$", " "),  # rules of tables
        (r"\|", ", "),
        (r"\*{1,3}(?=\S)([^*\n]{1,500}?)(?<=\S)\*{1,3}", r"\1"),
        (r"(?<!\w)_{1,3}(?=\S)([^_\n]{1,500}?)(?<=\S)_{1,3}(?!\w)", r"\1"),
        (r"~~(?=\S)([^~\n]{1,500}?)~~", r"\1"),
        (r"`{1,3}([^`\n]{1,500})`{1,3}", r"\1"),
    )
)
QUOTES = {
    **dict.fromkeys("’‘‛ʼʹ′`´＇", "'"),
    **dict.fromkeys("“”„‟«»″＂\"", " "),
    **dict.fromkeys("‐‑‒−﹣－", "-"),
    **dict.fromkeys("―⸺", "—"),
    "\u00ad": "", "⁄": "/", "∕": "/",
}  # fmt: skip
KEPT_COMPATIBILITY = frozenset("²³½⅓⅔¼¾⅛µ…")  # NFKC would take their meaning away
SPACES = re.compile(r"[^\S\n]+")
DROPPED = frozenset("©®™℠✓✔✗✘★☆♥♡♪♫●○■□▪▶►◆◇↑↓←↔⇒№")
EMOJI_JOINERS = frozenset("\u200d\ufe0e\ufe0f\u20e3")


def plain(text: str) -> str:
    """Returns `text` without markup, emoji and invisible characters, quotes and dashes unified."""
    text = html.unescape(text)
    for pattern, replacement in MARKDOWN:
        text = pattern.sub(replacement, text)
    return SPACES.sub(" ", "".join(_plain_character(character) for character in text))


def _plain_character(character: str) -> str:
    if character in QUOTES:
        return QUOTES[character]
    if character.isascii():
        return character if character.isprintable() or character == "\n" else " "
    if character in KEPT_COMPATIBILITY:
        return character
    if is_unspoken(character):
        return " "
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if category.startswith("Z"):
        return "\n" if character in "\u2028\u2029" else " "
    if category in ("Cc", "Cf", "Cs", "Cn"):
        return ""
    return unicodedata.normalize("NFKC", character) if category != "Mn" else character


def is_unspoken(character: str) -> bool:
    """Says whether the character is only looked at: an emoji, or an ornament such as a star."""
    return character in DROPPED or character in EMOJI_JOINERS or _is_emoji(character)


def _is_emoji(character: str) -> bool:
    """Says whether the character is a pictograph (Unicode blocks of So and the flags)."""
    code = ord(character)
    return (
        0x1F000 <= code <= 0x1FAFF
        or 0x2600 <= code <= 0x27BF
        or 0x2B00 <= code <= 0x2BFF
        or 0xE0000 <= code <= 0xE007F
        or 0x2300 <= code <= 0x23FF
    )
