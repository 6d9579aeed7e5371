"""Similarities of triplets as a jitted JAX function, for GPUs and TPUs.

The same numbers as `response_generation.dots` but for the order of the sums:
rows are gathered, a block of triplets at a time, in the accelerator's memory,
and summed in float32. Tested on CPUs; it has never run on a GPU or TPU.
"""

from collections.abc import Callable

from alignet.triplets import similarity
import numpy as np

_BLOCK = 1024
"""Triplets gathered at a time: 3 x 1024 rows of 1152 are 14 MB in float32."""


def of_triplets(store: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
  """Puts rows on JAX's default device, to answer triplets of them.

  Args:
    store: (n, d) float32, float16 or bfloat16; all of it has to fit there.

  Returns:
    (m, 3) row numbers -> (m, 3) float32 dot products [s01, s02, s12], in NumPy.
    It is compiled for each m it meets.
  """
  import jax  # pylint: disable=g-import-not-at-top
  import jax.numpy as jnp  # pylint: disable=g-import-not-at-top

  rows = jnp.asarray(np.asarray(store))

  @jax.jit
  def answer(rows, blocks):
    return jax.lax.map(
        lambda block: similarity.pair_similarities(rows[block]), blocks
    )

  def apply(triplets: np.ndarray) -> np.ndarray:
    m = len(triplets)
    padded = np.zeros((-(-m // _BLOCK) * _BLOCK, 3), np.int32)
    padded[:m] = triplets
    s = answer(rows, padded.reshape(-1, _BLOCK, 3))
    return np.asarray(s).reshape(-1, 3)[:m]

  return apply
