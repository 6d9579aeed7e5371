"""Pair similarities of triplets of rows, one triplet at a time.

The three dot products are in LLVM's words: numba has none for vectors. They are
summed in sixteen float32 lanes, which are part of the result's definition, so
every processor gives the same bits.
"""

import functools
import platform

from alignet.triplets import layout
from alignet.triplets.compiling import kernel
from llvmlite import binding
from llvmlite import ir
import numba
from numba import extending
from numba import types
from numba.core import cgutils
import numpy as np

_LANES = 16  # Column c of a dot product goes into sum c % 16.

_FLOAT32, _FLOAT16, _BFLOAT16 = range(3)  # Forms of the numbers in a row.
_SIZE = {_FLOAT32: 4, _FLOAT16: 2, _BFLOAT16: 2}
_FORMS = {"float32": _FLOAT32, "float16": _FLOAT16, "bfloat16": _BFLOAT16}


def of_triplets(
    store: np.ndarray, triplets: np.ndarray, out: np.ndarray
) -> None:
  """Dot products of the pairs of each triplet, in float32.

  No row is copied: three rows are read where they lie, once. Products are
  rounded, then summed in sixteen lanes, so equal input gives equal bits on
  every processor.

  Args:
    store: (n, d) C-contiguous rows, possibly a memory map: float32, float16 or
      bfloat16 (`ml_dtypes`); d a multiple of 16 for the 16-bit ones.
    triplets: (m, 3) integers, row numbers, not checked here.
    out: (m, 3) float32, set to [s01, s02, s12].
  """
  form = _FORMS[store.dtype.name]
  if form != _FLOAT32 and store.shape[1] % _LANES:
    raise ValueError(f"{store.shape[1]} columns, no multiple of 16")
  if not store.flags.c_contiguous:
    raise ValueError("rows that do not lie one after another")
  if numba.config.DISABLE_JIT:
    _in_numpy(store, triplets, out)
  elif form == _FLOAT16 and not _has_halves():
    used, places = np.unique(triplets, return_inverse=True)
    wide = store[used].astype(np.float32)
    _of_others(_bytes(wide), places.reshape(-1, 3), _FLOAT32, out)
  elif form == _FLOAT16:
    _of_float16(_bytes(store), triplets, out)
  else:
    _of_others(_bytes(store), triplets, form, out)


@functools.cache
def _has_halves() -> bool:
  """Whether the processor that numba compiles for converts float16 itself.

  LLVM calls a function for it otherwise, which numba does not have: the process
  would end in a segmentation fault.
  """
  if numba.config.CPU_NAME or numba.config.CPU_FEATURES is not None:
    return "+f16c" in (numba.config.CPU_FEATURES or "")
  is_x86 = platform.machine().lower() in ("x86_64", "amd64")
  return binding.get_host_cpu_features().get("f16c", not is_x86)


def _in_numpy(store, triplets, out) -> None:
  """The same bits, for NUMBA_DISABLE_JIT."""
  whole = store.shape[1] // _LANES * _LANES
  for start in range(0, len(triplets), 256):
    rows = slice(start, start + 256)
    x = store[triplets[rows]].astype(np.float32)
    for pair, (i, j) in enumerate(layout.PAIRS):
      products = x[:, i] * x[:, j]
      lanes = np.zeros((len(x), _LANES), np.float32)
      for column in range(0, whole, _LANES):
        lanes += products[:, column : column + _LANES]
      while lanes.shape[1] > 1:
        low, high = np.split(lanes, 2, axis=1)
        lanes = low + high
      total = lanes[:, 0]
      for column in range(whole, store.shape[1]):
        total = total + products[:, column]
      out[rows, pair] = total


def _bytes(store: np.ndarray) -> np.ndarray:
  """The same memory as (n, bytes) uint8."""
  return np.asarray(store).view(np.uint8)


@kernel
def _rows(triplets, row):
  """The rows of a triplet, and those of the one that follows."""
  following = min(row + 1, len(triplets) - 1)
  return (
      triplets[row, 0],
      triplets[row, 1],
      triplets[row, 2],
      triplets[following, 0],
      triplets[following, 1],
      triplets[following, 2],
  )


@kernel
def _of_float16(store, triplets, out):
  for row in range(len(triplets)):
    i, j, k, a, b, c = _rows(triplets, row)
    s = _triplet_dots(store, i, j, k, a, b, c, _FLOAT16)
    out[row, 0], out[row, 1], out[row, 2] = s[0], s[1], s[2]


@kernel
def _of_others(store, triplets, form, out):
  for row in range(len(triplets)):
    i, j, k, a, b, c = _rows(triplets, row)
    if form == _FLOAT32:
      s = _triplet_dots(store, i, j, k, a, b, c, _FLOAT32)
    else:
      s = _triplet_dots(store, i, j, k, a, b, c, _BFLOAT16)
    out[row, 0], out[row, 1], out[row, 2] = s[0], s[1], s[2]


@extending.intrinsic(prefer_literal=True)
def _triplet_dots(typing_context, store, i, j, k, next_i, next_j, next_k, form):
  """(s_ij, s_ik, s_jk) of rows i, j and k of a (n, bytes) uint8 array.

  Meanwhile the next three rows are called into the cache: rows lie anywhere,
  and waiting for memory would take most of the time. `form` is a constant of
  this module. Rows of 16-bit numbers hold a multiple of 16 of them; those of
  float32 may hold any number.
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
    lanes = context.get_constant(types.intp, _LANES)
    whole = builder.mul(builder.udiv(width, lanes), lanes)

    vector = ir.VectorType(ir.FloatType(), _LANES)
    sums = [
        cgutils.alloca_once_value(builder, ir.Constant(vector, [0.0] * _LANES))
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
    if form_value == _FLOAT32:  # The columns behind the last sixteen.
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
      _FLOAT32: ir.FloatType(),
      _FLOAT16: ir.HalfType(),
      _BFLOAT16: ir.IntType(16),
  }[form]
  first = builder.gep(builder.bitcast(row, element.as_pointer()), [column])
  pointer = builder.bitcast(first, ir.VectorType(element, _LANES).as_pointer())
  values = builder.load(pointer, align=_SIZE[form])
  wide = ir.VectorType(ir.FloatType(), _LANES)
  if form == _FLOAT16:
    return builder.fpext(values, wide)
  if form == _BFLOAT16:  # The upper half of a float32.
    integers = ir.VectorType(ir.IntType(32), _LANES)
    shift = ir.Constant(integers, [16] * _LANES)
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
  width = _LANES
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
