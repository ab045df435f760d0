"""Numbers in words: cardinals, ordinals, years, decimals, digits one by one."""

from __future__ import annotations

ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
)  # fmt: skip
TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
SCALES = ("", "thousand", "million", "billion", "trillion", "quadrillion")
IRREGULAR_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth",
    "nine": "ninth", "twelve": "twelfth",
}  # fmt: skip
LARGEST = 10 ** (3 * len(SCALES))  # from here on digits are read one by one
ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}


def cardinal(number: int) -> str:
    """Returns `number` in words, for example "one hundred and five"."""
    if number < 0:
        return f"minus {cardinal(-number)}"
    if number < 20:
        return ONES[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return TENS[tens] + (f"-{ONES[ones]}" if ones else "")
    if number < 1000:
        hundreds, rest = divmod(number, 100)
        return f"{ONES[hundreds]} hundred" + (f" and {cardinal(rest)}" if rest else "")
    if number >= LARGEST:
        return digits(str(number))
    groups = []
    for scale in SCALES:
        number, group = divmod(number, 1000)
        if group:
            groups.append(f"{cardinal(group)} {scale}".strip())
    last_is_small = len(groups) > 1 and " hundred" not in groups[0] and "thousand" not in groups[0]
    words = " ".join(reversed(groups[1:]))
    joiner = " and " if last_is_small and " million" not in groups[0] else " "
    return f"{words}{joiner}{groups[0]}" if words else groups[0]


def ordinal(number: int) -> str:
    """Returns the ordinal in words, for example "twenty-first"."""
    return to_ordinal(cardinal(number))


def to_ordinal(words: str) -> str:
    """Turns the last word of a cardinal into an ordinal."""
    cut = max(words.rfind(" "), words.rfind("-")) + 1
    head, last = words[:cut], words[cut:]
    if last in IRREGULAR_ORDINALS:
        return head + IRREGULAR_ORDINALS[last]
    return head + (last[:-1] + "ieth" if last.endswith("y") else last + "th")


def year(number: int) -> str:
    """Returns a year of one to four digits as people say it: "nineteen oh five"."""
    century, rest = divmod(number, 100)
    if number < 1000 or 2000 <= number < 2010 or number > 9999:
        return cardinal(number)
    if rest == 0:
        return f"{cardinal(century)} hundred" if century % 10 else cardinal(number)
    return f"{cardinal(century)} {f'oh {ONES[rest]}' if rest < 10 else cardinal(rest)}"


def digits(text: str) -> str:
    """Returns the digits of `text` read one by one."""
    return " ".join(ONES[int(character)] for character in text if character.isdecimal())


def decimal(text: str) -> str:
    """Returns a number such as "1,234.50", ".5" or "-7" in words.

    Args:
        text: ASCII digits with optional sign, thousands commas and one point.
    """
    sign = "minus " if text.startswith("-") else ""
    whole, point, fraction = text.lstrip("+-").replace(",", "").partition(".")
    is_code = len(whole) > 1 and whole.startswith("0")
    if is_code or len(whole) > 3 * len(SCALES):
        words = digits(whole)
    else:
        words = cardinal(int(whole)) if whole else "zero"
    return sign + words + (f" point {digits(fraction)}" if point and fraction else "")


def roman(numeral: str) -> int:
    """Returns the value of an upper-case Roman numeral below 400; 0 if it is none."""
    values = [ROMAN.get(letter, 0) for letter in numeral]
    if not values or 0 in values:
        return 0
    total = 0
    for value, following in zip(values, [*values[1:], 0], strict=True):
        total += -value if value < following else value
    return total if _to_roman(total) == numeral else 0


def _to_roman(number: int) -> str:
    steps = {100: "C", 90: "XC", 50: "L", 40: "XL", 10: "X", 9: "IX", 5: "V", 4: "IV", 1: "I"}
    numeral = ""
    for value, letters in steps.items():
        count, number = divmod(number, value)
        numeral += letters * count
    return numeral
