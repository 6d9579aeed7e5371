from alignet.triplets import npz
import numpy as np
import pytest
from response_generation import respond


@pytest.mark.parametrize("store", ["float32", "float16", "bfloat16"])
def test_jax_gives_the_same(world, tmp_path, store, needs_jax_dtype):
  needs_jax_dtype(store)
  a, b = tmp_path / "a.npz", tmp_path / "b.npz"
  arguments = {**world.inputs, "transform": world.transform, "store": store}
  respond.respond(**arguments, out=a)
  meta = respond.respond(**arguments, out=b, device="jax")
  assert meta["device"] == "jax"
  a, b = npz.open(a), npz.open(b)
  np.testing.assert_array_equal(a.indices, b.indices)
  np.testing.assert_allclose(
      a.similarities, b.similarities, rtol=1e-5, atol=1e-5
  )
