"""Eight numbers at once in compiled loops, where a compiler does not find them by itself.

The loops of the renderer are short (a row of a triangle is three pixels long) or look things up,
and LLVM leaves both as they are. `Lanes` are LLVM's own vectors: they become AVX, NEON or pairs of
SSE registers, whatever the processor has. Usable in functions compiled by numba only.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import ClassVar, Final, cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.base import BaseContext
from numba.core.datamodel.manager import DataModelManager
from numba.core.typing.context import BaseContext as TypingContext
from numba.core.typing.templates import ConcreteTemplate, Signature, infer_global
from numba.extending import intrinsic, lower_builtin, models, register_model
from numpy.typing import NDArray

COUNT: Final = 8
PIXELS: Final = 4  # that are looked up at once
PARTS: Final = 1 << 16  # of a pixel, in which places are told

_INDEX: Final = ir.IntType(32)
_FLOATS: Final = ir.VectorType(ir.FloatType(), COUNT)
_PLACES: Final = ir.VectorType(ir.IntType(32), PIXELS)
_CHANNELS: Final = ir.VectorType(ir.IntType(16), 8 * PIXELS)  # of two pixels for each place

Lanes = NDArray[np.float32]  # what they are to a type checker: [COUNT]
Values = tuple[ir.Value, ...]
Generator = Callable[[BaseContext, ir.IRBuilder, Signature, Values], ir.Value]


class LanesType(types.Type):
    """What lanes are to numba."""

    def __init__(self) -> None:
        super().__init__(name="Lanes")


@register_model(LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: DataModelManager, kind: types.Type) -> None:
        super().__init__(manager, kind, _FLOATS)  # type: ignore[no-untyped-call]


_LANES: Final = LanesType()


def _giving_lanes(build: Callable[..., tuple[Signature, Generator]]) -> Callable[..., Lanes]:
    """Makes an instruction of what tells its signature and how it is generated."""
    return cast("Callable[..., Lanes]", intrinsic(build))


def _giving_nothing(build: Callable[..., tuple[Signature, Generator]]) -> Callable[..., None]:
    return cast("Callable[..., None]", intrinsic(build))


@_giving_lanes
def load(_: TypingContext, array: types.Array, index: types.Integer) -> tuple[Signature, Generator]:
    """Returns the lanes at `index` and behind it of `array` [n] float32."""

    def generate(
        context: BaseContext, builder: ir.IRBuilder, signature: Signature, args: Values
    ) -> ir.Value:
        return builder.load(_address(context, builder, signature, args), align=4)

    return _LANES(array, index), generate


@_giving_lanes
def store(
    _: TypingContext, array: types.Array, index: types.Integer, value: LanesType
) -> tuple[Signature, Generator]:
    """Writes lanes to `array` [n] float32 at `index` and behind it."""

    def generate(
        context: BaseContext, builder: ir.IRBuilder, signature: Signature, args: Values
    ) -> ir.Value:
        builder.store(args[2], _address(context, builder, signature, args), align=4)
        return context.get_dummy_value()  # type: ignore[no-untyped-call]

    return types.void(array, index, value), generate


@_giving_lanes
def spread(_: TypingContext, value: types.Float) -> tuple[Signature, Generator]:
    """Returns lanes that all hold the float32 `value`."""
    return _LANES(value), lambda _, builder, __, args: _spread(builder, args[0], _FLOATS)


@_giving_lanes
def ramp(_: TypingContext) -> tuple[Signature, Generator]:
    """Returns lanes that hold their own numbers, 0 to 7."""
    return _LANES(), lambda *_: ir.Constant(_FLOATS, [float(lane) for lane in range(COUNT)])


@_giving_lanes
def where_less(
    _: TypingContext, left: LanesType, right: LanesType, chosen: LanesType, other: LanesType
) -> tuple[Signature, Generator]:
    """Returns the lanes of `chosen` where `left` is less than `right`, of `other` elsewhere."""

    def generate(_: BaseContext, builder: ir.IRBuilder, __: Signature, args: Values) -> ir.Value:
        return builder.select(builder.fcmp_ordered("<", args[0], args[1]), args[2], args[3])

    return _LANES(left, right, chosen, other), generate


@_giving_nothing
def show_along(
    _: TypingContext,
    line: types.Array,
    index: types.Integer,
    texture: types.Array,
    start: types.UniTuple,
    step: types.UniTuple,
) -> tuple[Signature, Generator]:
    """Writes to `line` at `index` and behind it what `PIXELS` places on a straight line show.

    `line` [n] and `texture` [h, w] hold packed RGBA pixels. The places begin at `start` and go on
    by `step`, each (x, y) int64 in `PARTS` of a pixel. What is between four pixels is worked out
    to 1/256 of a level and rounded once; beyond its border the texture goes on.
    """

    def generate(
        context: BaseContext, builder: ir.IRBuilder, signature: Signature, args: Values
    ) -> ir.Value:
        numbers = ir.Constant(_PLACES, list(range(PIXELS)))
        places = []
        for axis in range(2):
            first, more = (
                builder.trunc(builder.extract_value(pair, axis), _INDEX) for pair in args[3:]
            )
            steps = builder.mul(numbers, _spread(builder, more, _PLACES))
            places.append(builder.add(_spread(builder, first, _PLACES), steps))
        return _show(context, builder, signature, args, places)

    pair = types.UniTuple(types.int64, 2)  # type: ignore[no-untyped-call]
    return types.void(line, index, texture, pair, pair), generate


@_giving_nothing
def show_at(
    _: TypingContext,
    line: types.Array,
    index: types.Integer,
    texture: types.Array,
    map_x: types.Array,
    map_y: types.Array,
    at: types.Integer,
    corner: types.UniTuple,
) -> tuple[Signature, Generator]:
    """Writes to `line` what the `PIXELS` places in two maps at `at` and behind it show.

    The maps [n] float32 are in pixels from a place that is `corner` (x, y) float32 from the
    texture's first pixel. Else it is `show_along`.
    """

    def generate(
        context: BaseContext, builder: ir.IRBuilder, signature: Signature, args: Values
    ) -> ir.Value:
        floats = ir.VectorType(ir.FloatType(), PIXELS)
        places = []
        for axis in range(2):
            make = context.make_array(signature.args[3 + axis])  # type: ignore[no-untyped-call]
            row = make(context, builder, args[3 + axis])
            pointer = builder.bitcast(builder.gep(row.data, [args[5]]), floats.as_pointer())
            shift = _spread(builder, builder.extract_value(args[6], axis), floats)
            place = builder.fsub(builder.load(pointer, align=4), shift)
            parts = builder.fmul(place, ir.Constant(floats, [float(PARTS)] * PIXELS))
            places.append(builder.fptosi(parts, _PLACES))
        return _show(context, builder, signature, args, places)

    pair = types.UniTuple(types.float32, 2)  # type: ignore[no-untyped-call]
    return types.void(line, index, texture, map_x, map_y, at, pair), generate


def _show(
    context: BaseContext,
    builder: ir.IRBuilder,
    signature: Signature,
    args: Values,
    places: list[ir.Value],
) -> ir.Value:
    """Writes what the array args[2] shows at `places` to the array args[0] from args[1] on.

    The lanes are the channels of pixels side by side, two for each place: one product mixes both
    with those below, another one the two.
    """
    line, texture = (
        context.make_array(signature.args[at])(  # type: ignore[no-untyped-call]
            context, builder, args[at]
        )
        for at in (0, 2)
    )
    sides = [builder.trunc(builder.extract_value(texture.shape, axis), _INDEX) for axis in (1, 0)]
    across, down = (
        _within(builder, place, side) for place, side in zip(places, sides, strict=True)
    )
    width = _spread(builder, sides[0], _PLACES)
    whole = ir.Constant(_PLACES, [16] * PIXELS)
    at = builder.add(builder.mul(builder.ashr(down, whole), width), builder.ashr(across, whole))
    above = _pairs(builder, texture.data, at)
    below = _pairs(builder, texture.data, builder.add(at, width))
    right, low = (_for_channels(builder, place) for place in (across, down))
    high = builder.xor(low, ir.Constant(_CHANNELS, [0xFFFF] * len(_CHANNELS)))
    mixed = builder.add(_product(builder, above, high), _product(builder, below, low))
    is_left = ir.Constant(_CHANNELS, ([0xFFFF] * 4 + [0] * 4) * PIXELS)
    mixed = _product(builder, mixed, builder.xor(right, is_left))
    lanes = [8 * pixel + channel for pixel in range(PIXELS) for channel in range(4)]
    lefts, rights = (
        builder.shuffle_vector(mixed, mixed, _numbers([lane + more for lane in lanes]))
        for more in (0, 4)
    )
    half, byte = (ir.Constant(lefts.type, [value] * len(lanes)) for value in (128, 8))
    levels = builder.lshr(builder.add(builder.add(lefts, rights), half), byte)
    packed = builder.trunc(levels, ir.VectorType(ir.IntType(8), len(lanes)))
    target = builder.gep(line.data, [args[1]])
    builder.store(packed, builder.bitcast(target, packed.type.as_pointer()), align=4)
    return context.get_dummy_value()  # type: ignore[no-untyped-call]


def _within(builder: ir.IRBuilder, place: ir.Value, side: ir.Value) -> ir.Value:
    """Returns places in `PARTS` that have a pixel before and behind them."""
    last = builder.sub(
        builder.shl(builder.sub(side, ir.Constant(_INDEX, 1)), ir.Constant(_INDEX, 16)),
        ir.Constant(_INDEX, 1),
    )
    most, least = _spread(builder, last, _PLACES), ir.Constant(_PLACES, [0] * PIXELS)
    place = builder.select(builder.icmp_signed("<", place, most), place, most)
    return builder.select(builder.icmp_signed(">", place, least), place, least)


def _pairs(builder: ir.IRBuilder, pixels: ir.Value, at: ir.Value) -> ir.Value:
    """Returns the channels of the pixels numbered `at` and of those behind them, in 256ths."""
    pair, kind = ir.IntType(64), ir.VectorType(ir.IntType(64), PIXELS)
    found = ir.Constant(kind, ir.Undefined)
    for number in range(PIXELS):
        lane = ir.Constant(_INDEX, number)
        pointer = builder.gep(pixels, [builder.zext(builder.extract_element(at, lane), pair)])
        both = builder.load(builder.bitcast(pointer, pair.as_pointer()), align=4)
        found = builder.insert_element(found, both, lane)
    levels = builder.bitcast(found, ir.VectorType(ir.IntType(8), len(_CHANNELS)))
    shift = ir.Constant(_CHANNELS, [8] * len(_CHANNELS))
    return builder.shl(builder.zext(levels, _CHANNELS), shift)


def _for_channels(builder: ir.IRBuilder, place: ir.Value) -> ir.Value:
    """Returns how far places are behind their pixels, in `PARTS`, for each channel of both."""
    shares = builder.trunc(place, ir.VectorType(ir.IntType(16), PIXELS))
    numbers = [pixel for pixel in range(PIXELS) for _ in range(8)]
    return builder.shuffle_vector(shares, shares, _numbers(numbers))


def _product(builder: ir.IRBuilder, values: ir.Value, shares: ir.Value) -> ir.Value:
    """Returns the upper halves of the products, which processors have an instruction for."""
    words = ir.VectorType(ir.IntType(32), len(_CHANNELS))
    whole = builder.mul(builder.zext(values, words), builder.zext(shares, words))
    return builder.trunc(builder.lshr(whole, ir.Constant(words, [16] * len(_CHANNELS))), _CHANNELS)


def _numbers(lanes: list[int]) -> ir.Constant:
    return ir.Constant(ir.VectorType(_INDEX, len(lanes)), lanes)


def _spread(builder: ir.IRBuilder, value: ir.Value, kind: ir.VectorType) -> ir.Value:
    nothing = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(nothing, value, ir.Constant(_INDEX, 0))
    return builder.shuffle_vector(first, nothing, _numbers([0] * len(kind)))


def _address(
    context: BaseContext, builder: ir.IRBuilder, signature: Signature, args: Values
) -> ir.Value:
    """Returns where in the array args[0] the lanes from args[1] on are."""
    make = context.make_array(signature.args[0])  # type: ignore[no-untyped-call]
    array = make(context, builder, args[0])
    return builder.bitcast(builder.gep(array.data, [args[1]]), _FLOATS.as_pointer())


def _give_operator(symbol: Callable[..., object], method: str) -> None:
    """Lets lanes be added, subtracted or multiplied by `symbol`."""

    @lower_builtin(symbol, LanesType, LanesType)  # type: ignore[no-untyped-call, untyped-decorator]
    def generate(_: BaseContext, builder: ir.IRBuilder, __: Signature, args: Values) -> ir.Value:
        return getattr(builder, method)(args[0], args[1])

    @infer_global(symbol)  # type: ignore[no-untyped-call]
    class _(ConcreteTemplate):
        key = symbol
        cases: ClassVar = [_LANES(_LANES, _LANES)]


_give_operator(operator.add, "fadd")
_give_operator(operator.sub, "fsub")
_give_operator(operator.mul, "fmul")
