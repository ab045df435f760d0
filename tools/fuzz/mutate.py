"""Makes damaged inputs of valid ones: bytes, lines of text, trees of JSON.

Each function takes a `Random`, so that a seed tells the input.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final

Mutator = Callable[[bytes, Random], bytes]

_NUMBERS: Final = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000)
_TEXT_NUMBERS: Final = (
    *("0", "-1", "1", "65536", "2147483648", "9" * 20, "9" * 5000, "1e999", "-0", "0x10", "٣"),
    *("NaN", "Infinity", "1.5", "00000001", "½"),
)
_ODD_TEXT: Final = (
    *("", " ", "\0", "\n", "\r", "\u2028", "\ufeff", "\ud800", "\udfff", "é", "e\u0301" * 50),
    *("😀", "‮", "a" * 5000, "%s", "${x}", "../../etc/passwd", "<script>", "'\"`", "\\", "]]>"),
    *("\x1b[31m", "١٢", "İ", "ß", "ﬃ", "\u200b" * 20),
)
_ODD_VALUES: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**53 + 1, 2**64, -(2**63), 10**400, 0.1, 1e308, -1e308),
    *(float("nan"), float("inf"), float("-inf"), [], {}, [[]], {"": ""}),
)


def mutate_bytes(data: bytes, random: Random) -> bytes:
    """Damages a few places: bits, numbers, pieces left out, doubled or moved."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4, 16))):
        _damage(changed, random)
    return bytes(changed)


def _damage(data: bytearray, random: Random) -> None:
    if not data:
        data += random.randbytes(random.randrange(1, 64))
        return
    at = random.randrange(len(data))
    size = min(random.choice((1, 2, 4, 16, 256, 4096)), len(data) - at)
    match random.randrange(8):
        case 0:
            data[at] ^= 1 << random.randrange(8)
        case 1:
            data[at : at + size] = random.randbytes(size)
        case 2:
            width = random.choice((1, 2, 4))
            order = random.choice(("big", "little"))
            number = random.choice(_NUMBERS) % 256**width
            data[at : at + width] = number.to_bytes(width, "big" if order == "big" else "little")
        case 3:
            del data[at : at + size]
        case 4:
            data[at:at] = data[at : at + size] * random.choice((1, 1, 2, 50))
        case 5:
            piece = data[at : at + size]
            del data[at : at + size]
            to = random.randrange(len(data) + 1)
            data[to:to] = piece
        case 6:
            data[at : at + size] = bytes(size) if random.random() < 0.5 else b"\xff" * size
        case _:
            if random.random() < 0.3:
                del data[at:]
            else:
                data += random.randbytes(size)


def lines_with(words: Sequence[str]) -> Mutator:
    """Returns a mutator of texts of lines; `words` are of the format's own."""

    def mutate(data: bytes, random: Random) -> bytes:
        if random.random() < 0.2:
            return mutate_bytes(data, random)
        lines = data.decode("utf-8", "surrogateescape").splitlines(keepends=True)
        for _ in range(random.choice((1, 1, 2, 3, 8))):
            _damage_lines(lines, words, random)
        return "".join(lines).encode("utf-8", "surrogatepass")

    return mutate


def _damage_lines(lines: list[str], words: Sequence[str], random: Random) -> None:
    if not lines:
        lines.append(random.choice(words) + "\n")
        return
    at = random.randrange(len(lines))
    match random.randrange(7):
        case 0:
            del lines[at]
        case 1:
            lines.insert(random.randrange(len(lines) + 1), lines[at])
        case 2:
            lines[at : at + 3] = lines[at : at + 3] * random.choice((2, 10, 100))
        case 3:
            lines.insert(at, random.choice(words) + "\n")
        case 4:
            lines[at] = _with_number(lines[at], random)
        case 5:
            to = random.randrange(len(lines[at]) + 1)
            odd = random.choice((random.choice(_ODD_TEXT), random.choice(words)))
            lines[at] = lines[at][:to] + odd * random.choice((1, 1, 1, 30)) + lines[at][to:]
        case _:
            to = random.randrange(len(lines[at]) + 1)
            lines[at] = lines[at][:to] + ("\n" if random.random() < 0.5 else "")


def _with_number(line: str, random: Random) -> str:
    digits = [index for index, letter in enumerate(line) if letter.isdigit()]
    if not digits:
        return line + random.choice(_TEXT_NUMBERS)
    start = end = random.choice(digits)
    while end < len(line) and line[end].isdigit():
        end += 1
    return line[:start] + random.choice(_TEXT_NUMBERS) + line[end:]


def mutate_json(data: bytes, random: Random) -> bytes:
    """Changes a JSON text as a tree: values, keys, types, depth; or as a text."""
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError):
        return mutate_bytes(data, random)
    if random.random() < 0.15:
        return mutate_bytes(data, random)
    for _ in range(random.choice((1, 1, 2, 4))):
        tree = _changed(tree, random)
    text = json.dumps(tree, ensure_ascii=random.random() < 0.5)
    if random.random() < 0.05 and text.startswith("{") and len(text) > 2:
        text = text[:-1] + "," + text[1:]  # every key twice
    if random.random() < 0.03:
        depth = random.choice((20, 500, 5_000, 50_000))
        text = text.replace("null", "[" * depth + "]" * depth, 1) if "null" in text else text
    return text.encode("utf-8", "surrogatepass")


def _changed(tree: Any, random: Random) -> Any:  # noqa: ANN401 - JSON
    if isinstance(tree, dict) and tree and random.random() < 0.9:
        key = random.choice(list(tree))
        match random.randrange(8):
            case 0:
                return {name: value for name, value in tree.items() if name != key}
            case 1:
                return {**tree, random.choice(_ODD_TEXT): tree[key]}
            case 2:
                other = random.choice(list(tree))
                return {**tree, key: tree[other]}
            case _:
                return {**tree, key: _changed(tree[key], random)}
    if isinstance(tree, list) and tree and random.random() < 0.7:
        at = random.randrange(len(tree))
        if random.random() < 0.2:
            return tree * random.choice((0, 2, 50))
        return [*tree[:at], _changed(tree[at], random), *tree[at + 1 :]]
    return _other_value(tree, random)


def _other_value(value: Any, random: Random) -> Any:  # noqa: ANN401 - JSON
    match random.randrange(6):
        case 0:
            return random.choice(_ODD_VALUES)
        case 1:
            return random.choice(_ODD_TEXT)
        case 2:
            return [value] * random.choice((1, 3))
        case 3 if isinstance(value, str):
            at = random.randrange(len(value) + 1)
            return value[:at] + random.choice(_ODD_TEXT) + value[at:]
        case 3 | 4 if isinstance(value, int | float):
            return value * random.choice((-1, 0, 2, 1000, 10**9))
        case _:
            return {str(value)[:20]: value}
