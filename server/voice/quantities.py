"""Reads what contains digits: times, dates, money, measures, ranges, fractions, versions."""

from __future__ import annotations

import re
from collections.abc import Callable

from server.voice.abbreviations import CURRENCIES, MONTHS, UNITS
from server.voice.numbers import cardinal, decimal, digits, ordinal, to_ordinal, year

NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+"
SIGNED = rf"(?<![\w.])-(?:{NUMBER})|{NUMBER}"
MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|"
    r"Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)"
)
CLOSE_UNITS = frozenset({"m", "g", "l", "L", "s", "h", "W", "V", "A", "x", "k", "K", "M", "in"})
UNIT = "|".join(sorted((re.escape(unit) for unit in UNITS), key=len, reverse=True))
FAR_UNIT = "|".join(
    sorted((re.escape(unit) for unit in UNITS.keys() - CLOSE_UNITS), key=len, reverse=True)
)
MONEY = "|".join(sorted((re.escape(sign) for sign in CURRENCIES), key=len, reverse=True))
FRACTIONS = {"2": ("half", "halves"), "4": ("quarter", "quarters")}
SCALE_WORDS = {
    "k": "thousand", "m": "million", "b": "billion", "bn": "billion", "t": "trillion",
}  # fmt: skip
Reader = Callable[[re.Match[str]], str]


def _clock(match: re.Match[str]) -> str:
    hour, minute, second = int(match["hour"]), match["minute"], match["second"]
    half = (match["half"] or "").replace(".", "").lower()
    if hour > 24 or int(minute) > 59:
        return f"{cardinal(hour)} to {cardinal(int(minute))}"
    words = cardinal(hour)
    if minute == "00":
        words += "" if half else " o'clock" if 0 < hour <= 12 else " hundred"
    else:
        words += f" oh {cardinal(int(minute))}" if minute[0] == "0" else f" {cardinal(int(minute))}"
    if second:
        words += f" and {cardinal(int(second))} seconds"
    return f"{words} {half.upper()}" if half else words


def _hour(match: re.Match[str]) -> str:
    half = match["ampm"].replace(".", "").upper()
    return f"{cardinal(int(match['oclock']))} {half}"


def _iso_date(match: re.Match[str]) -> str:
    month = int(match["isomonth"])
    if not 1 <= month <= 12:
        return digits(match.group())
    return f"{MONTHS[month - 1]} {ordinal(int(match['isoday']))}, {year(int(match['isoyear']))}"


def _slash_date(match: re.Match[str]) -> str:
    first, second, last = int(match["date1"]), int(match["date2"]), int(match["date3"])
    day_comes_first = first > 12 or match["between"] == "."
    month, day = (second, first) if day_comes_first else (first, second)
    if not 1 <= month <= 12 or not 1 <= day <= 31:
        return " slash ".join(cardinal(number) for number in (first, second, last))
    last += 2000 if len(match["date3"]) == 2 and last < 50 else 0
    return f"{MONTHS[month - 1]} {ordinal(day)}, {year(last)}"


def _month_name(text: str) -> str:
    return next(month for month in MONTHS if month.startswith(text.lower()[:3]))


def _month_day(match: re.Match[str]) -> str:
    words = f"{_month_name(match['monthfirst'])} {ordinal(int(match['dayafter']))}"
    return words + (f", {year(int(match['yearafter']))}" if match["yearafter"] else "")


def _day_month(match: re.Match[str]) -> str:
    words = f"the {ordinal(int(match['dayfirst']))} of {_month_name(match['monthafter'])}"
    return words + (f", {year(int(match['yearlast']))}" if match["yearlast"] else "")


def _money(match: re.Match[str]) -> str:
    amount, scale = match["amount"].replace(",", ""), match["scale"]
    one, many, small_one, small_many = CURRENCIES[match["sign"]]
    sign = "minus " if match["minus"] else ""
    if scale:
        return f"{sign}{decimal(amount)} {SCALE_WORDS.get(scale.lower(), scale)} {many}"
    whole, point, rest = amount.partition(".")
    if not point or len(rest) != 2 or not small_one:
        return f"{sign}{decimal(amount)} {one if amount == '1' else many}"
    coins = int(rest)
    small = f"{cardinal(coins)} {small_one if coins == 1 else small_many}"
    if int(whole or 0) == 0:
        return sign + small
    large = f"{decimal(whole)} {one if int(whole) == 1 else many}"
    return sign + (f"{large} and {small}" if coins else large)


def _phone(match: re.Match[str]) -> str:
    groups = re.findall(r"\d+", match.group())
    plus = "plus " if match.group().startswith("+") else ""
    return plus + ", ".join(digits(group) for group in groups)


def _dotted(match: re.Match[str]) -> str:
    parts = match["dotted"].split(".")
    return " point ".join(cardinal(int(part)) if len(part) < 4 else digits(part) for part in parts)


def _decade(match: re.Match[str]) -> str:
    words = (
        year(int(match["decade"])) if len(match["decade"]) > 2 else cardinal(int(match["decade"]))
    )
    return words[:-1] + "ies" if words.endswith("y") else words + "s"


def _range(match: re.Match[str]) -> str:
    low, high = match["low"], match["high"]
    first, second = (
        year(int(text)) if _is_year(text) and _is_year(low) else decimal(text)
        for text in (low, high)
    )
    return f"{first} to {second}" + _unit(match["rangeunit"] or match["farrange"], "2")


def _measure(match: re.Match[str]) -> str:
    number = match["measured"]
    return decimal(number) + _unit(match["unit"] or match["far"], number)


def _unit(unit: str | None, number: str) -> str:
    if not unit:
        return ""
    return " " + UNITS[unit][0 if number == "1" else 1]


def _fraction(match: re.Match[str]) -> str:
    above, below = match["above"], match["below"]
    if above == "24" and below == "7":
        return "twenty-four seven"
    if int(below) in (0, 1) or int(below) > 100 or len(above) > 2:
        return f"{decimal(above)} over {decimal(below)}"
    one, many = FRACTIONS.get(below, ("", ""))
    one = one or to_ordinal(cardinal(int(below)))
    many = many or f"{one}s"
    return f"{cardinal(int(above))} {one if above == '1' else many}"


def _ordinal(match: re.Match[str]) -> str:
    return ordinal(int(match["nth"].replace(",", "")))


def _score(match: re.Match[str]) -> str:
    return f"{decimal(match['score1'])} to {decimal(match['score2'])}"


def _size(match: re.Match[str]) -> str:
    return f"{decimal(match['width'])} by {decimal(match['height'])}"


def _number(match: re.Match[str]) -> str:
    text = match["number"]
    if _is_year(text):
        return year(int(text))
    return decimal(text)


def _is_year(text: str) -> bool:
    return len(text) == 4 and text.isdecimal() and 1100 <= int(text) <= 2099


# In order of trial; the first that matches at a place reads it.
READERS: tuple[tuple[str, Reader], ...] = (
    (rf"(?P<monthfirst>\b{MONTH})\.? (?P<dayafter>\d{{1,2}})(?:st|nd|rd|th)?\b"
     r"(?:,? (?P<yearafter>[12]\d{3})\b)?", _month_day),
    (rf"(?:\bthe )?\b(?P<dayfirst>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? (?P<monthafter>{MONTH})\b\.?"
     r"(?:,? (?P<yearlast>[12]\d{3})\b)?", _day_month),
    (r"\b(?P<isoyear>[12]\d{3})-(?P<isomonth>\d\d)-(?P<isoday>\d\d)\b", _iso_date),
    (r"\b(?P<date1>\d{1,2})(?P<between>[/.])(?P<date2>\d{1,2})(?P=between)"
     r"(?P<date3>(?:19|20)\d\d|(?<=/)\d\d)\b", _slash_date),
    (r"\b(?P<hour>\d{1,2}):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?"
     r"(?: ?(?P<half>[AaPp](?:\.[Mm]\.|[Mm]\b)))?(?![\d:])", _clock),
    (r"\b(?P<oclock>\d{1,2}) ?(?P<ampm>[AaPp]\.[Mm]\.|[AaPp][Mm]\b)", _hour),
    (rf"(?P<minus>-)?(?P<sign>{MONEY}) ?(?P<amount>{NUMBER})"
     r"(?: ?(?P<scale>thousand|million|billion|trillion|k|K|bn|m|M|B)\b)?", _money),
    (r"(?:\+\d{1,3}[ .-]?)?\(?\b\d{3,4}\)?[ .-]\d{3,4}[ -]\d{3,4}\b|\+\d{7,15}\b"
     r"|\b\d{3}-\d{4}\b|\b0\d{6,}\b", _phone),
    (r"\bv?(?P<dotted>\d+(?:\.\d+){2,5})\b", _dotted),
    (r"(?P<decade>\b[12]\d\d0|(?<=')\d0|\b\d0)'?s\b", _decade),
    (r"\b(?P<nth>\d{1,3}(?:,\d{3})+|\d+)(?:st|nd|rd|th)\b", _ordinal),
    (rf"\b(?P<low>{NUMBER})(?:%|°)? ?[–-] ?(?P<high>{NUMBER})"
     rf"(?:(?P<rangeunit>{UNIT})| (?P<farrange>{FAR_UNIT}))?(?![\w-])",
     _range),
    (r"\b(?P<above>\d{1,4})/(?P<below>\d{1,4})\b(?!/)", _fraction),
    (r"\b(?P<score1>\d+):(?P<score2>\d+)\b", _score),
    (r"(?P<width>\d+) ?[x×] ?(?P<height>\d+)\b", _size),
    (rf"(?P<measured>{SIGNED})(?:(?P<unit>{UNIT})| (?P<far>{FAR_UNIT}))(?![\w/²³])", _measure),
    (rf"(?P<number>{SIGNED})", _number),
)  # fmt: skip
PATTERN = re.compile(
    "|".join(f"(?P<reader{index}>{pattern})" for index, (pattern, _) in enumerate(READERS)),
    re.ASCII,
)


def read_quantity(text: str, position: int) -> tuple[str, int] | None:
    """Reads the quantity that begins at `position`.

    Returns:
        its words (with commas where a breath belongs) and the position after it; None where no
        quantity begins.
    """
    match = PATTERN.match(text, position)
    if match is None:
        return None
    for index, (_, reader) in enumerate(READERS):
        if match[f"reader{index}"] is not None:
            return reader(match), match.end()
    return None
