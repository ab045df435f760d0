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

_INDEX: Final = ir.IntType(32)
_FLOATS: Final = ir.VectorType(ir.FloatType(), COUNT)
_BYTES: Final = ir.VectorType(ir.IntType(8), COUNT)
_HALVES: Final = ir.VectorType(ir.IntType(16), COUNT)  # of 32 bits
_WORDS: Final = ir.VectorType(ir.IntType(32), COUNT)
_PIXEL: Final = COUNT // 2  # channels of the left one of two pixels

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


def _giving_pixel(build: Callable[..., tuple[Signature, Generator]]) -> Callable[..., np.uint32]:
    return cast("Callable[..., np.uint32]", intrinsic(build))


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


@_giving_pixel
def between_pixels(
    _: TypingContext,
    texture: types.Array,
    at: types.Integer,
    across: types.Integer,
    down: types.Integer,
) -> tuple[Signature, Generator]:
    """Returns what is between four pixels, a packed RGBA pixel.

    `texture` [h, w] holds packed pixels; the upper left one of the four has the index `at` int64
    when they are numbered through. `across` and `down` uint16 are how far from it to its neighbours
    the place lies, in 65536ths. Levels are worked out to 1/256 and rounded once.

    The lanes are the channels of two pixels side by side: one product mixes both with those below.
    """

    def generate(
        context: BaseContext, builder: ir.IRBuilder, signature: Signature, args: Values
    ) -> ir.Value:
        make = context.make_array(signature.args[0])  # type: ignore[no-untyped-call]
        array = make(context, builder, args[0])
        row_below = builder.add(args[1], builder.extract_value(array.shape, 1))
        above = _two_pixels(builder, builder.gep(array.data, [args[1]]))
        below = _two_pixels(builder, builder.gep(array.data, [row_below]))
        right, low = (_spread(builder, share, _HALVES) for share in args[2:])
        high = builder.xor(low, ir.Constant(_HALVES, [0xFFFF] * COUNT))
        mixed = builder.add(_product(builder, above, high), _product(builder, below, low))
        is_left = ir.Constant(_HALVES, [0xFFFF] * _PIXEL + [0] * _PIXEL)
        mixed = _product(builder, mixed, builder.xor(right, is_left))
        total = builder.add(_pixel(builder, mixed, 0), _pixel(builder, mixed, _PIXEL))
        half, byte = (ir.Constant(total.type, [value] * _PIXEL) for value in (128, 8))
        levels = builder.lshr(builder.add(total, half), byte)
        packed = builder.trunc(levels, ir.VectorType(ir.IntType(8), _PIXEL))
        return builder.bitcast(packed, ir.IntType(32))

    return types.uint32(texture, types.int64, types.uint16, types.uint16), generate


def _address(
    context: BaseContext, builder: ir.IRBuilder, signature: Signature, args: Values
) -> ir.Value:
    """Returns where in the array args[0] the lanes from args[1] on are."""
    make = context.make_array(signature.args[0])  # type: ignore[no-untyped-call]
    array = make(context, builder, args[0])
    return builder.bitcast(builder.gep(array.data, [args[1]]), _FLOATS.as_pointer())


def _spread(builder: ir.IRBuilder, value: ir.Value, kind: ir.VectorType) -> ir.Value:
    nothing = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(nothing, value, ir.Constant(_INDEX, 0))
    return builder.shuffle_vector(first, nothing, ir.Constant(_WORDS, [0] * COUNT))


def _two_pixels(builder: ir.IRBuilder, pointer: ir.Value) -> ir.Value:
    """Returns the channels of a pixel and of the one behind it, in 256ths."""
    pixels = builder.load(builder.bitcast(pointer, _BYTES.as_pointer()), align=1)
    return builder.shl(builder.zext(pixels, _HALVES), ir.Constant(_HALVES, [8] * COUNT))


def _product(builder: ir.IRBuilder, values: ir.Value, shares: ir.Value) -> ir.Value:
    """Returns the upper halves of the products, which processors have an instruction for."""
    whole = builder.mul(builder.zext(values, _WORDS), builder.zext(shares, _WORDS))
    return builder.trunc(builder.lshr(whole, ir.Constant(_WORDS, [16] * COUNT)), _HALVES)


def _pixel(builder: ir.IRBuilder, pixels: ir.Value, first: int) -> ir.Value:
    lanes = ir.Constant(ir.VectorType(_INDEX, _PIXEL), list(range(first, first + _PIXEL)))
    return builder.shuffle_vector(pixels, pixels, lanes)


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
