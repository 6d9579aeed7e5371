import tracemalloc

from alignet import transforms
from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import identities
from alignet.io import json_files
from alignet.representations import store
from alignet.triplets import npz
import numpy as np
import pytest
from response_generation import respond
from response_generation import transformed_store
from tests.response_generation import reference


@pytest.mark.parametrize("small", [0, 2**28])
def test_float16_representations_are_summed_in_float32(
    tmp_path, monkeypatch, small
):
  monkeypatch.setattr(transformed_store, "_SMALL", small)
  n, d = 6, 4000
  rng = np.random.default_rng(0)
  x = rng.uniform(0, 9, (n, d)).astype(np.float16)
  store.write(tmp_path / "r", x, [str(i) for i in range(n)], {}, {"model": "m"})
  indices = np.array([[0, 1, 2], [3, 4, 5]], np.int32)
  files.save_npz(
      tmp_path / "t.npz",
      {
          "indices": indices,
          "meta": json_files.array(
              {"rows": identities.of_names([str(i) for i in range(n)])}
          ),
      },
  )
  respond.respond(
      representations=tmp_path / "r",
      triplets=tmp_path / "t.npz",
      out=tmp_path / "u.npz",
  )
  # The dot products exceed what float16 can hold.
  assert npz.open(tmp_path / "u.npz").similarities.min() > 65504
  reference.check(
      tmp_path / "u.npz",
      reference.formula(x, indices),
      [str(i) for i in range(n)],
      1e-6,
  )


@pytest.mark.parametrize("similarity", ["dot", "cosine"])
@pytest.mark.parametrize("store", ["float16", "bfloat16"])
def test_16_bit_stores_and_their_error(
    world, tmp_path, monkeypatch, store, similarity
):
  monkeypatch.setattr(transformed_store, "_SMALL", 0)
  exact, short = tmp_path / "a.npz", tmp_path / "b.npz"
  arguments = {**world.inputs, "transform": world.transform}
  arguments["similarity"] = similarity
  respond.respond(**arguments, out=exact)
  meta = respond.respond(**arguments, out=short, store=store)
  bound = 2.0 ** {"float16": -10, "bfloat16": -7}[store]
  t = world.teacher
  z = ((world.features - 0.25) / 2) @ t.weights + t.bias
  largest = (
      1 if similarity == "cosine" else np.linalg.norm(z, axis=1).max() ** 2
  )
  expected = reference.formula(z, world.indices, similarity)
  reference.check(
      short, expected, world.names, rtol=0, atol=1.1 * bound * largest
  )
  found = npz.open(short).similarities.astype(np.float64)
  differences = [
      # Canonical order is that of the rounded similarities.
      np.array([pairs[frozenset(p)] for p in ((i, j), (i, k), (j, k))]) - s
      for (i, j, k), s, pairs in zip(
          npz.open(short).indices.tolist(), found, expected
      )
  ]
  error = meta["store_error"]
  assert error["n"] == len(expected)
  assert error["max"] == pytest.approx(np.abs(differences).max(), rel=1e-2)
  rms = np.sqrt(np.mean(np.square(differences)))
  assert error["rms"] == pytest.approx(rms, rel=1e-2)
  assert error["rms"] > 0


def test_float16_overflow_names_the_way_out(world, tmp_path):
  transforms.save(
      world.transform,
      transforms.Transform(
          weights=1e6 * np.eye(6, dtype=np.float32),
          bias=np.zeros(6, "f"),
          meta=world.teacher.meta,
      ),
      overwrite=True,
  )
  arguments = {**world.inputs, "transform": world.transform}
  with pytest.raises(AlignetError, match="choose bfloat16"):
    respond.respond(**arguments, out=tmp_path / "x.npz", store="float16")
  respond.respond(**arguments, out=tmp_path / "x.npz", store="bfloat16")


def test_small_rows_are_held_once(tmp_path):
  x = np.random.default_rng(0).random((120_000, 17), np.float32)
  tracemalloc.start()
  try:
    z = transformed_store.make(
        x, None, "dot", "float16", tmp_path, inputs="x", workers=1
    )
    _, peak = tracemalloc.get_traced_memory()
  finally:
    tracemalloc.stop()
  np.testing.assert_array_equal(z[:, :17], x.astype(np.float16))
  assert z.shape == (120_000, 32) and not z[:, 17:].any()
  assert peak < 1.5 * z.nbytes
