"""Two operations that numba has no words for, in LLVM's.

`multiply_high` is the upper half of a 64 x 64 bit product. `Form` and
`triplet_dots` are three dot products of three rows of one array, read once,
summed in sixteen float32 lanes: the lanes are part of the result's definition,
so every processor gives the same bits.
"""

from llvmlite import ir
from numba import extending
from numba import types
from numba.core import cgutils

LANES = 16
"""Sums a dot product is split into; column c goes into sum c % 16."""

FLOAT32, FLOAT16, BFLOAT16 = range(3)
"""Forms of the numbers in a row."""

_SIZE = {FLOAT32: 4, FLOAT16: 2, BFLOAT16: 2}


@extending.intrinsic
def multiply_high(typing_context, a, b):
  """The upper 64 bits of the product of two uint64."""
  del typing_context, a, b

  def generate(context, builder, signature, arguments):
    del context, signature
    wide = ir.IntType(128)
    x, y = (builder.zext(argument, wide) for argument in arguments)
    product = builder.mul(x, y)
    high = builder.lshr(product, ir.Constant(wide, 64))
    return builder.trunc(high, ir.IntType(64))

  return types.uint64(types.uint64, types.uint64), generate


@extending.intrinsic(prefer_literal=True)
def triplet_dots(typing_context, store, i, j, k, next_i, next_j, next_k, form):
  """(s_ij, s_ik, s_jk) of rows i, j and k of a (n, bytes) uint8 array.

  Meanwhile the next three rows are called into the cache: rows lie anywhere,
  and waiting for memory would take most of the time. `form`
  is a constant of this module. Rows of 16-bit numbers hold a multiple of 16 of
  them; those of float32 may hold any number.
  """
  del typing_context
  if not isinstance(form, types.IntegerLiteral):
    return None
  form_value = form.literal_value

  def generate(context, builder, signature, arguments):
    array = context.make_array(signature.args[0])(
        context, builder, arguments[0]
    )
    size = context.get_constant(types.intp, _SIZE[form_value])
    shape = cgutils.unpack_tuple(builder, array.shape, 2)
    stride = cgutils.unpack_tuple(builder, array.strides, 2)[0]
    width = builder.udiv(shape[1], size)
    rows = [
        builder.gep(array.data, [builder.mul(row, stride)])
        for row in arguments[1:7]
    ]
    rows, ahead = rows[:3], rows[3:]
    lanes = context.get_constant(types.intp, LANES)
    whole = builder.mul(builder.udiv(width, lanes), lanes)

    vector = ir.VectorType(ir.FloatType(), LANES)
    sums = [
        cgutils.alloca_once_value(builder, ir.Constant(vector, [0.0] * LANES))
        for _ in range(3)
    ]
    with cgutils.for_range_slice(
        builder, whole.type(0), whole, lanes, whole.type
    ) as (column, _):
      for row in ahead:
        _prefetch(builder, builder.gep(row, [builder.mul(column, size)]))
      x, y, z = (_load(builder, row, column, form_value) for row in rows)
      for total, a, b in zip(sums, (x, x, y), (y, z, z)):
        product = builder.fmul(a, b)
        builder.store(builder.fadd(builder.load(total), product), total)
    totals = [
        cgutils.alloca_once_value(builder, _sum(builder, builder.load(total)))
        for total in sums
    ]
    if form_value == FLOAT32:  # The columns behind the last sixteen.
      with cgutils.for_range_slice(
          builder, whole, width, whole.type(1), whole.type
      ) as (column, _):
        x, y, z = (
            builder.load(
                builder.gep(
                    builder.bitcast(row, ir.FloatType().as_pointer()), [column]
                )
            )
            for row in rows
        )
        for total, a, b in zip(totals, (x, x, y), (y, z, z)):
          product = builder.fmul(a, b)
          builder.store(builder.fadd(builder.load(total), product), total)
    return context.make_tuple(
        builder, signature.return_type, [builder.load(t) for t in totals]
    )

  signature = types.UniTuple(types.float32, 3)(store, *[types.intp] * 6, form)
  return signature, generate


def _load(builder, row, column, form):
  """Sixteen numbers of a row, from a column on, as float32."""
  element = {
      FLOAT32: ir.FloatType(),
      FLOAT16: ir.HalfType(),
      BFLOAT16: ir.IntType(16),
  }[form]
  first = builder.gep(builder.bitcast(row, element.as_pointer()), [column])
  pointer = builder.bitcast(first, ir.VectorType(element, LANES).as_pointer())
  values = builder.load(pointer, align=_SIZE[form])
  wide = ir.VectorType(ir.FloatType(), LANES)
  if form == FLOAT16:
    return builder.fpext(values, wide)
  if form == BFLOAT16:  # The upper half of a float32.
    integers = ir.VectorType(ir.IntType(32), LANES)
    shift = ir.Constant(integers, [16] * LANES)
    return builder.bitcast(
        builder.shl(builder.zext(values, integers), shift), wide
    )
  return values


def _prefetch(builder, address):
  """Asks for the cache line of an address, to be read and kept for a while."""
  integer = ir.IntType(32)
  function = cgutils.get_or_insert_function(
      builder.module,
      ir.FunctionType(
          ir.VoidType(), [ir.IntType(8).as_pointer(), *[integer] * 3]
      ),
      "llvm.prefetch.p0i8",
  )
  read, locality, data = (ir.Constant(integer, x) for x in (0, 3, 1))
  builder.call(function, [address, read, locality, data])


def _sum(builder, values):
  """The sum of sixteen lanes, halves first."""
  width = LANES
  while width > 1:
    width //= 2
    undefined = ir.Constant(values.type, ir.Undefined)
    low, high = (
        builder.shuffle_vector(
            values,
            undefined,
            ir.Constant(
                ir.VectorType(ir.IntType(32), width),
                list(range(start, start + width)),
            ),
        )
        for start in (0, width)
    )
    values = builder.fadd(low, high)
  return builder.extract_element(values, ir.IntType(32)(0))
