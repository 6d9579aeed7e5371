"""Tests of alignet.human.readers.embeddings."""

from alignet.errors import AlignetError
from alignet.human import readers
from alignet.human import things
from alignet.human.readers import names as names_lib
import numpy as np
import pytest
from tests.human.readers import test_names

_CONCEPTS = ["ape", "bee", "cat", "dog", "elk"]

_names_file = test_names.names_file


def _values(rows=5, k=3, seed=0):
  rng = np.random.default_rng(seed)
  return rng.gamma(1, size=(rows, k)).astype(np.float32)


@pytest.mark.parametrize("kind", [".npy", ".txt", ".tsv"])
def test_embedding_is_joined_by_name(tmp_path, kind):
  names = ["dog", "ape", "elk", "bee", "cat"]
  np.save(tmp_path / "v.npy", _values())
  np.savetxt(tmp_path / "v.txt", _values(), fmt="%.9g")
  path = _names_file(tmp_path, kind, names)
  for file in ("v.npy", "v.txt"):
    got = readers.read_embedding(tmp_path / file, _CONCEPTS, names=path)
    assert got.values.dtype == np.float32 and got.unknown == ()
    for name, row in zip(_CONCEPTS, got.values):
      np.testing.assert_array_equal(row, _values()[names.index(name)])


def test_embedding_of_more_or_fewer_concepts(tmp_path):
  path = tmp_path / "v.npy"
  np.save(path, _values())
  some = ["elk", "bee"]
  with pytest.raises(AlignetError, match=r"rows of ape, cat, dog, none of"):
    readers.read_embedding(path, some, names=_CONCEPTS)
  got = readers.read_embedding(path, some, names=_CONCEPTS, on_unknown="drop")
  np.testing.assert_array_equal(got.values, _values()[[4, 1]])
  assert got.unknown == ("ape", "cat", "dog")
  with pytest.raises(AlignetError, match="no row of yak of the 2 concepts"):
    readers.read_embedding(
        path, ["yak", "ape"], names=_CONCEPTS, on_unknown="drop"
    )


@pytest.mark.parametrize(
    "change, message",
    [
        ({}, "names=FILE.*one of things, vice.*VICE as published"),
        ({"order": "things", "names": _CONCEPTS}, "expected either"),
        ({"order": "alphabetical"}, "found 'alphabetical'"),
        ({"names": _CONCEPTS[:4]}, "expected 4 rows, one a name, found 5"),
        (
            {"order": "things", "values": _values(3, 5)},
            "expected 5 rows, one a concept, found 3; transpose it",
        ),
        (
            {"order": "things", "values": np.where(_values() > 3, 0, np.nan)},
            "row 0 holds a NaN",
        ),
        (
            {"order": "things", "values": np.full((5, 2), 1e300)},
            "row 0 holds a NaN or inf",
        ),
        ({"order": "things", "values": np.ones((5, 2), int)}, "floats"),
    ],
)
def test_bad_embedding(tmp_path, change, message):
  change = dict(change)
  np.save(tmp_path / "v.npy", change.pop("values", _values()))
  with pytest.raises(AlignetError, match=message):
    readers.read_embedding(tmp_path / "v.npy", _CONCEPTS, **change)


@pytest.mark.parametrize("text", ["1 2\n3\n", "1 a\n", "", "# nothing\n"])
def test_bad_text_embedding(tmp_path, text):
  (tmp_path / "v.txt").write_text(text)
  with pytest.raises(AlignetError, match="v.txt: expected (a line|5 rows)"):
    readers.read_embedding(tmp_path / "v.txt", _CONCEPTS, order="things")


def _posterior(tmp_path, name="p.npz", **changes):
  arrays = {"mu": _values() - 1, "sigma": _values(seed=1) + 0.1, **changes}
  np.savez(
      tmp_path / name, **{k: v for k, v in arrays.items() if v is not None}
  )
  return tmp_path / name


def test_posterior(tmp_path):
  names = np.array(["dog", "ape", "elk", "bee", "cat"])
  rows = [names.tolist().index(name) for name in _CONCEPTS]
  mu, sigma = _values() - 1, _values(seed=1) + np.float32(0.1)
  np.save(tmp_path / "mu.npy", mu)
  np.save(tmp_path / "sigma.npy", sigma)
  both = {"mu": None, "sigma": None, "pruned_loc": mu, "pruned_scale": sigma}
  for path, more in (
      (_posterior(tmp_path), {"names": names}),
      (_posterior(tmp_path, "named.npz", names=names), {}),
      (_posterior(tmp_path, "vice.npz", **both), {"names": names}),
      (
          tmp_path / "mu.npy",
          {"names": names, "sigma": tmp_path / "sigma.npy"},
      ),
  ):
    got = readers.read_posterior(path, _CONCEPTS, **more)
    np.testing.assert_array_equal(got.mu, mu[rows])
    np.testing.assert_allclose(got.sigma, sigma[rows], rtol=1e-6)
  # What is said goes before what the file says.
  path = _posterior(tmp_path, names=names)
  got = readers.read_posterior(path, _CONCEPTS, order="things")
  np.testing.assert_array_equal(got.mu, mu)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"sigma": 1 - np.eye(5, 3, -1)}, "row 1 has the value 0.0;"),
        ({"sigma": -_values()}, "above zero"),
        ({"sigma": np.full((5, 3), np.inf)}, "sigma in .*: row 0 holds a NaN"),
        ({"sigma": _values(5, 2)}, r"shape of mu, \(5, 3\), found \(5, 2\)"),
        ({"sigma": None}, "lacks the keys mu and sigma; found mu"),
        ({"mu": np.full((5, 3), np.nan)}, "mu in .*: row 0 holds a NaN"),
        ({"names": np.array(_CONCEPTS[:3])}, "expected 3 rows, one a name"),
        ({}, "names=FILE"),
    ],
)
def test_bad_posterior(tmp_path, change, message):
  path = _posterior(tmp_path, **change)
  more = {} if "names" in change or not change else {"order": "things"}
  with pytest.raises(AlignetError, match=message):
    readers.read_posterior(path, _CONCEPTS, **more)


def test_posterior_in_one_or_two_files(tmp_path):
  np.save(tmp_path / "mu.npy", _values())
  with pytest.raises(AlignetError, match="another of sigma"):
    readers.read_posterior(tmp_path / "mu.npy", _CONCEPTS, order="things")
  with pytest.raises(AlignetError, match="another of sigma"):
    readers.read_posterior(
        _posterior(tmp_path),
        _CONCEPTS,
        sigma=tmp_path / "mu.npy",
        order="things",
    )


def test_vice_as_published_is_put_in_order(test_data, tmp_path):
  """Its rows are in another order than the concepts: 20 of them differ."""
  folder = test_data / "things"
  concepts = things.read_concepts(folder / "concepts.tsv")
  right = np.load(folder / "vice_embedding.npy")
  order = np.arange(len(concepts))
  moved = np.random.default_rng(0).choice(len(order), 20, replace=False)
  order[moved] = order[np.roll(moved, 1)]
  np.save(tmp_path / "published.npy", right[order])
  names = _names_file(tmp_path, ".tsv", concepts.unique_id[order].tolist())

  with pytest.raises(AlignetError, match="1854 rows .*names=FILE"):
    readers.read_embedding(tmp_path / "published.npy", concepts)
  by_name = readers.read_embedding(
      tmp_path / "published.npy", concepts, names=names
  )
  np.testing.assert_array_equal(by_name.values, right)
  by_position = readers.read_embedding(
      tmp_path / "published.npy", concepts, order="things"
  )
  assert (by_position.values != right).any(axis=1).sum() == 20
  # The shared file is in order, and says so when it is asked.
  as_shared = readers.read_embedding(
      folder / "vice_embedding.npy", concepts, names=folder / "concepts.tsv"
  )
  np.testing.assert_array_equal(as_shared.values, right)


def test_mean_of_a_posterior():
  """Against the integral over the normal density."""
  mu = np.array([[-3.0, -0.5, 0.0, 2.0, 1.0, -40.0]], np.float32)
  sigma = np.array([[0.5, 1.0, 2.0, 0.3, 1e-6, 1.0]], np.float32)
  eps = np.linspace(-10, 10, 200_001)
  density = np.exp(-(eps**2) / 2) / np.sqrt(2 * np.pi)
  x = np.maximum(mu[..., None] + sigma[..., None] * eps, 0)
  mean = readers.Posterior(mu=mu, sigma=sigma).mean
  assert mean.dtype == np.float32 and (mean >= 0).all()
  np.testing.assert_allclose(
      mean, np.trapezoid(x * density, eps), rtol=1e-5, atol=1e-8
  )


def test_posterior_as_it_stands(tmp_path):
  path = _posterior(tmp_path, names=np.array(_CONCEPTS[::-1]))
  got = readers.read_posterior(path, None, as_it_stands=True)
  np.testing.assert_array_equal(got.mu, _values() - 1)
  with pytest.raises(AlignetError, match="without the concepts .*concept_list"):
    readers.read_posterior(path, None, names=_CONCEPTS)
  # Without names; with concepts only where that is said.
  path = _posterior(tmp_path)
  for options in ({"as_it_stands": True}, {"order": "things"}):
    got = readers.read_posterior(path, _CONCEPTS, **options)
    np.testing.assert_array_equal(got.mu, _values() - 1)
  with pytest.raises(AlignetError, match="expected 4 rows, one a concept"):
    readers.read_posterior(path, _CONCEPTS[:4], as_it_stands=True)


def test_orders_that_can_be_said(tmp_path):
  """By meaning: row i is about the concept of the name that it was given."""
  concepts = np.array(["a10", "a2", "bat1", "bat", "Zoo"])
  v = {name: np.full(2, i, np.float32) for i, name in enumerate(concepts)}
  for order, rows in (
      ("things", ["a10", "a2", "bat1", "bat", "Zoo"]),
      ("sorted", ["Zoo", "a10", "a2", "bat", "bat1"]),
      ("natural", ["Zoo", "a2", "a10", "bat", "bat1"]),
      ("vice", ["Zoo", "a10", "a2", "bat", "bat1"]),
  ):
    np.save(tmp_path / "v.npy", np.stack([v[name] for name in rows]))
    got = readers.read_embedding(tmp_path / "v.npy", concepts, order=order)
    np.testing.assert_array_equal(got.values[:, 0], np.arange(5))
  with pytest.raises(AlignetError, match="row i may be concept i"):
    readers.read_embedding(tmp_path / "v.npy", concepts)
  got = readers.read_embedding(tmp_path / "v.npy", concepts, as_it_stands=True)
  np.testing.assert_array_equal(got.values, np.load(tmp_path / "v.npy"))


def test_the_order_of_vice_is_that_of_the_pictures(test_data):
  """`bow2.jpg` comes before `bow.jpg`, `bow` before `bow2`: 20 rows differ."""
  concepts = readers.read_names(test_data / "things" / "concepts.tsv")
  rows = names_lib.in_order(concepts, "vice")
  assert sorted(rows) == sorted(concepts)
  moved = rows != np.sort(concepts)
  assert 0 < moved.sum() < 60
