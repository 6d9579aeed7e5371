from alignet.errors import AlignetError
from alignet.human import trials
from alignet.triplets import npz
from alignet.triplets import similarity
import numpy as np
import pytest


def _world(seed=0, n_images=60, n_concepts=8):
  rng = np.random.default_rng(seed)
  concepts = rng.integers(0, n_concepts, n_images)
  embedding = np.abs(rng.normal(0, 1, (n_concepts, 3)))

  def draw(start, stop):
    # Row r depends on r only, whatever the block.
    return np.stack(
        [
            np.random.default_rng([7, r]).permutation(n_images)[:3]
            for r in range(start, stop)
        ]
    )

  return draw, concepts, embedding


def _brute_force(draw, concepts, embedding, n, margin):
  kept, left_out, r = [], 0, 0
  while len(kept) < n:
    (row,) = draw(r, r + 1)
    r += 1
    a, b, c = embedding[concepts[row]]
    e = np.exp([a @ b, a @ c, b @ c])
    low, middle, high = np.sort(e / e.sum())
    del low
    if high - middle >= margin:
      kept.append(row)
    else:
      left_out += 1
  return np.array(kept), left_out


@pytest.mark.parametrize("block", [1, 7, 50, 400])
@pytest.mark.parametrize("margin", [0.05, 0.3])
def test_clear_trials_are_kept_and_the_others_counted(block, margin):
  draw, concepts, embedding = _world()
  kept, logits, left_out = trials.make(
      draw, concepts, embedding, n=50, margin=margin, block=block
  )
  wanted, wanted_left_out = _brute_force(draw, concepts, embedding, 50, margin)
  np.testing.assert_array_equal(kept, wanted)
  assert left_out == wanted_left_out > 0
  p = np.sort(similarity.choice_probabilities(logits), axis=1)
  assert (p[:, 2] - p[:, 1] >= margin).all()
  a, b, c = (embedding[concepts[kept[:, i]]] for i in range(3))
  np.testing.assert_allclose(
      logits, np.stack([(a * b).sum(1), (a * c).sum(1), (b * c).sum(1)], axis=1)
  )


def test_too_few_clear_triplets_is_an_error():
  draw, concepts, embedding = _world()
  with pytest.raises(AlignetError, match="only 0 of .* lower the margin"):
    trials.make(draw, concepts, 0 * embedding, n=1, block=60)
  with pytest.raises(AlignetError, match="n: .* found 0"):
    trials.make(draw, concepts, embedding, n=0)


def _names(n=60):
  return np.array([f"image_{i}" for i in range(n)])


def test_written_and_read_back_in_canonical_order(tmp_path):
  draw, concepts, embedding = _world()
  kept, logits, _ = trials.make(draw, concepts, embedding, n=40, block=64)
  for name in ("within", "across"):
    npz.write(tmp_path / f"{name}.npz", _names(), kept, logits)
  sets = trials.read_folder(tmp_path, image_names=_names())
  assert list(sets) == ["across", "within"]
  p = sets["across"].probabilities
  assert p.shape == (40, 3) and p.dtype == np.float64
  assert sets["across"].indices.dtype == np.int32
  np.testing.assert_allclose(p.sum(axis=1), 1)
  assert (np.diff(p, axis=1) <= 0).all()
  # Each row is the same triplet, with the similarities of its own pairs.
  np.testing.assert_array_equal(np.sort(sets["across"].indices), np.sort(kept))
  e = embedding[concepts[sets["across"].indices]]
  wanted = similarity.choice_probabilities(similarity.pair_similarities(e))
  np.testing.assert_allclose(p, wanted, atol=1e-6)


def test_a_foreign_file_is_made_canonical(tmp_path):
  np.savez(
      tmp_path / "a.npz",
      filenames=_names()[[[5, 3, 8]]],
      indices=[[5, 3, 8]],
      similarities=np.float32([[0.0, 2.0, 1.0]]),
  )
  found = trials.read(tmp_path / "a.npz", image_names=_names())
  np.testing.assert_array_equal(found.indices, [[8, 5, 3]])
  assert (np.diff(found.probabilities) < 0).all()


def test_what_is_no_set_of_trials(tmp_path):
  with pytest.raises(AlignetError, match="no set of trials"):
    trials.read_folder(tmp_path)
  path = tmp_path / "a.npz"
  npz.write(path, _names(), np.array([[1, 2, 3]]), np.ones((1, 3)))
  trials.read(path)
  with pytest.raises(AlignetError, match="is about 'image_1'"):
    trials.read(path, image_names=np.array(["x"] * 60))
  with pytest.raises(AlignetError, match="is about 'image_3'"):
    trials.read(path, image_names=_names(3))
  for change, message in (
      ({"similarities": np.float32([[np.inf, 0, 0]])}, "NaN or infinite"),
      ({"indices": np.float32([[1, 2, 3]])}, "integers"),
      ({"similarities": np.float32([[1, 0]])}, "shape"),
  ):
    arrays = dict(
        filenames=_names()[[[1, 2, 3]]],
        indices=[[1, 2, 3]],
        similarities=np.float32([[2, 1, 0]]),
    )
    np.savez(path, **{**arrays, **change})
    with pytest.raises(AlignetError, match=message):
      trials.read(path)
  np.savez(
      path,
      filenames=np.zeros((0, 3), "U1"),
      indices=np.zeros((0, 3), int),
      similarities=np.zeros((0, 3), np.float32),
  )
  with pytest.raises(AlignetError, match="holds no trials"):
    trials.read(path)
