from alignet.data import images as images_lib
from alignet.data import labels as labels_lib
from alignet.errors import AlignetError
from alignet.human import concepts
from alignet.human import trials as trials_lib
from alignet.io import files
from alignet.triplets import npz
from alignet.triplets import similarity
import numpy as np
import pytest

_K = 12


def _labels(n=120):
  # Concepts 0 and 11 have no images; every seventh image has no concept.
  ids = 1 + np.arange(n) % (_K - 2)
  ids[::7] = -1
  return labels_lib.Labels(
      ids=ids, names=np.array([f"c{i:02d}" for i in range(_K)])
  )


def _store(level="concept"):
  labels = _labels()
  n = len(labels.ids)
  return images_lib.ImageStore(
      images=np.zeros((n, 2, 2, 3), np.uint8),
      filenames=np.array([f"{i:03d}.png" for i in range(n)]),
      labels={level: labels},
      meta={},
  )


def _embedding():
  return 2 * np.random.default_rng(0).random((_K, 4)).astype(np.float32)


def _held_out(*numbers):
  return np.isin(np.arange(_K), numbers)


def test_hold_out_chooses_among_concepts_present():
  chosen = [concepts.hold_out(_labels(), 4, seed=s) for s in range(20)]
  for held_out in chosen:
    assert held_out.dtype == bool and held_out.sum() == 4
    assert not held_out[[0, 11]].any()
  assert np.any(chosen, axis=0)[1:11].all()
  np.testing.assert_array_equal(
      chosen[3], concepts.hold_out(_labels(60), 4, seed=3)
  )


@pytest.mark.parametrize("n", [0, 8, 100])
def test_hold_out_refuses(n):
  with pytest.raises(AlignetError, match=f"hold out 1 to 7 .* found {n}"):
    concepts.hold_out(_labels(), n, seed=0)


def test_write_split_names_concepts(tmp_path):
  held_out = concepts.write_split(tmp_path / "s", _labels(), 3, seed=5)
  np.testing.assert_array_equal(
      concepts.read_held_out(tmp_path / "s" / concepts.ARRAY, _K), held_out
  )
  named = files.read_json(tmp_path / "s" / concepts.NAMES)
  assert named["seed"] == 5
  assert named["held_out"] == [f"c{i:02d}" for i in np.flatnonzero(held_out)]
  assert sorted(named["held_out"] + named["training"]) == [
      f"c{i:02d}" for i in range(1, 11)
  ]
  with pytest.raises(AlignetError, match="already exists"):
    concepts.write_split(tmp_path / "s", _labels(), 3, seed=6)
  with pytest.raises(AlignetError, match=r"shape \(13\)"):
    concepts.read_held_out(tmp_path / "s" / concepts.ARRAY, _K + 1)


def test_write_trials(tmp_path):
  store, v, held_out = _store(), _embedding(), _held_out(2, 3, 5, 7)
  path = tmp_path / "things.npz"
  left_out = concepts.write_trials(path, store, v, held_out, n=300, seed=1)
  opened = npz.open(path)
  ids = store.labels["concept"].ids[opened.indices]
  assert opened.indices.shape == (300, 3)
  assert held_out[ids].all() and (ids >= 0).all()
  assert all(len(set(row)) == 3 for row in ids.tolist())
  expected = np.stack(
      [
          (v[ids[:, a]] * v[ids[:, b]]).sum(-1)
          for a, b in ((0, 1), (0, 2), (1, 2))
      ],
      axis=1,
  )
  np.testing.assert_allclose(opened.similarities, expected, rtol=1e-5)
  p = np.sort(similarity.choice_probabilities(expected), axis=1)
  assert (p[:, 2] - p[:, 1] >= trials_lib.MARGIN - 1e-6).all()
  assert opened.meta["concepts"] == ["c02", "c03", "c05", "c07"]
  assert opened.meta["left_out"] == left_out
  assert len(trials_lib.read(path, image_names=store.filenames).indices) == 300


def test_no_concept_is_not_the_last_concept(tmp_path):
  """An image without a concept, -1, must not pass for concept 11."""
  store = _store()
  held_out = _held_out(2, 3, 5, 11)
  concepts.write_trials(
      tmp_path / "t.npz", store, _embedding(), held_out, n=200, seed=0
  )
  used = store.labels["concept"].ids[npz.open(tmp_path / "t.npz").indices]
  assert set(used.ravel().tolist()) == {2, 3, 5}


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(held_out=_held_out(2, 3)), "3 groups; found 2"),
        (dict(held_out=_held_out(2, 3, 5)[:-1]), "held-out concepts: expected"),
        (dict(embedding=_embedding()[:-1]), "embedding: expected shape"),
        (dict(store=_store("basic")), "no labels of level 'concept'"),
    ],
)
def test_bad_trials(tmp_path, change, message):
  given = dict(
      store=_store(), embedding=_embedding(), held_out=_held_out(2, 3, 5)
  )
  with pytest.raises(AlignetError, match=message):
    concepts.write_trials(tmp_path / "t.npz", **given | change, n=10, seed=0)
  assert not (tmp_path / "t.npz").exists()
