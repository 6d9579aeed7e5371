"""Tests of uncertainty_distillation.inputs and uncertainty_distillation.human.

Readers have tests of their own; here is what is made of them.
"""

import json

from alignet.data import labels as labels_lib
from alignet.errors import AlignetError
from alignet.human import judgments as judgments_lib
from alignet.human import readers
from alignet.io import identities
from alignet.representations import store
import numpy as np
import pytest
from uncertainty_distillation import inputs

_NAMES = ["ape", "bee", "cat", "dog", "elk", "fox"]
_ORDER = [3, 0, 5, 2, 1, 4]  # Of the rows in V.npy and vice.npz.
_TRIPLETS = np.array([[0, 1, 2], [1, 0, 2], [3, 2, 0], [4, 1, 3]])


def _values(seed, k=3):
  rng = np.random.default_rng(seed)
  return rng.gamma(2, 0.5, (len(_NAMES), k)).astype(np.float32)


_V, _MU, _SIGMA = _values(0), _values(1) - 0.5, _values(2)


@pytest.fixture
def folder(tmp_path):
  """Features of concepts 0 to 4, choices in three formats, V and its names."""
  (tmp_path / "names.txt").write_text("\n".join(_NAMES))
  named = np.array(_NAMES)[_ORDER]
  (tmp_path / "order.txt").write_text("\n".join(named))
  np.save(tmp_path / "F.npy", np.eye(5, dtype=np.float32))
  np.save(tmp_path / "C.npy", np.arange(5))
  np.save(tmp_path / "V.npy", _V[_ORDER])
  np.save(tmp_path / "T.npy", _TRIPLETS)
  np.savetxt(tmp_path / "first.txt", _TRIPLETS[:, [2, 0, 1]], fmt="%d")
  np.savez(tmp_path / "vice.npz", mu=_MU[_ORDER], sigma=_SIGMA[_ORDER])
  _write_csv(tmp_path / "t.csv", _TRIPLETS)
  return tmp_path


def _write_csv(path, triplets, *extra):
  rows = [readers.CSV_COLUMNS, *(("P", *t + 1, 3) for t in triplets)]
  path.write_text(
      "".join("\t".join(map(str, row)) + "\n" for row in [*rows, *extra])
  )


def _load(folder, **given):
  """Loads; a value with a dot, or `R`, is a file of the folder."""
  given = {"features": "F.npy", "concepts": "C.npy", **given}
  return inputs.load(
      **{
          name: folder / value if "." in str(value) or value == "R" else value
          for name, value in given.items()
          if value is not None
      },
      trust=identities.Trust(rows="as_stored"),
  )


@pytest.mark.parametrize(
    "choices, form",
    [
        ("t.csv", "things_csv"),
        ("T.npy", "odd_last"),
        ("first.txt", "odd_first"),
    ],
)
def test_choices(folder, choices, form):
  data = _load(
      folder, choices=choices, choices_format=form, concept_list="names.txt"
  )
  np.testing.assert_array_equal(data.judgments.triplets, _TRIPLETS)
  assert (data.judgments.probabilities == [1, 0, 0]).all()
  # Not counted from the images: choices may be of concepts without one.
  assert data.judgments.n_concepts == 6 and data.embedding is None
  assert data.notes == {
      "choices": {
          **{"format": form, "rows": 4, "impossible": 0, "unknown": 0},
          "repeated": 1,
      }
  }
  assert set(data.sha256) == {
      *("features", "concepts", "choices", "concept_list")
  }


def test_choices_of_another_list_with_impossible_rows(folder):
  (folder / "theirs.txt").write_text("\n".join(["yak", *_NAMES]))
  _write_csv(
      folder / "t.csv", _TRIPLETS + 1, ("P", 2, 2, 3, 1), ("P", 1, 2, 3, 1)
  )
  given = {
      "choices": "t.csv",
      "choices_names": "theirs.txt",
      "concept_list": "names.txt",
  }
  with pytest.raises(AlignetError, match="row 4 .*--on_impossible=drop"):
    _load(folder, **given)
  with pytest.raises(AlignetError, match="row 5 shows 'yak'.*--on_unknown"):
    _load(folder, **given, on_impossible="drop")
  data = _load(folder, **given, on_impossible="drop", on_unknown="drop")
  np.testing.assert_array_equal(data.judgments.triplets, _TRIPLETS)
  note = data.notes["choices"]
  assert (note["rows"], note["impossible"], note["unknown"]) == (6, 1, 1)


def test_embedding_is_joined_by_name(folder):
  given = {"embedding": "V.npy", "concept_list": "names.txt"}
  data = _load(folder, **given, embedding_names="order.txt")
  np.testing.assert_array_equal(data.embedding, _V)
  expected = judgments_lib.from_embedding(_V, concepts=np.arange(5))
  np.testing.assert_array_equal(
      data.judgments.probabilities, expected.probabilities
  )
  assert {"embedding", "embedding_names"} <= set(data.sha256)
  by_position = _load(folder, **given, embedding_order="things")
  np.testing.assert_array_equal(by_position.embedding, _V[_ORDER])
  assert by_position.notes["embedding"]["order"] == "things"
  with pytest.raises(AlignetError, match="6 rows .*--embedding_names=FILE"):
    _load(folder, **given)
  # Without a list it stays an array whose row i is concept i.
  plain = _load(folder, embedding="V.npy")
  np.testing.assert_array_equal(plain.embedding, _V[_ORDER])
  assert plain.notes == {"embedding": {"order": None, "unknown": []}}


def test_rows_of_unknown_concepts(folder):
  (folder / "some.txt").write_text("\n".join(_NAMES[:5]))
  given = {
      "embedding": "V.npy",
      "embedding_names": "order.txt",
      "concept_list": "some.txt",
  }
  with pytest.raises(AlignetError, match="rows of fox, .*--on_unknown=drop"):
    _load(folder, **given)
  data = _load(folder, **given, on_unknown="drop")
  np.testing.assert_array_equal(data.embedding, _V[:5])
  assert data.notes["embedding"]["unknown"] == ["fox"]


def test_order_of_things_has_to_be_said(folder, test_data):
  things = test_data / "things"
  given = {
      "features": folder / "F.npy",
      "concepts": folder / "C.npy",
      "embedding": things / "vice_embedding.npy",
  }
  trust = identities.Trust(rows="as_stored")
  for more in ({}, {"concept_list": things / "concepts.tsv"}):
    with pytest.raises(AlignetError, match="1854 rows .*embedding_order"):
      inputs.load(**given, **more, trust=trust)
    data = inputs.load(**given, **more, embedding_order="things", trust=trust)
    np.testing.assert_array_equal(
        data.embedding, np.load(things / "vice_embedding.npy")
    )
    assert data.judgments.n_concepts == 1854


def _probabilities(x, triplets):
  i, j, k = np.moveaxis(x[..., triplets, :], -2, 0)
  s = np.stack([(i * j).sum(-1), (i * k).sum(-1), (j * k).sum(-1)], axis=-1)
  e = np.exp(s - s.max(axis=-1, keepdims=True))
  return e / e.sum(axis=-1, keepdims=True)


def test_posterior_predictive_is_the_mean_over_samples(folder):
  data = _load(
      folder,
      posterior="vice.npz",
      concept_list="names.txt",
      embedding_names="order.txt",
      samples=20_000,
  )
  # All triplets of the concepts that have an image.
  assert len(data.judgments) == 10 and data.judgments.triplets.max() == 4
  noise = np.random.default_rng(3).normal(size=(20_000, *_MU.shape))
  draws = np.maximum(_MU + _SIGMA * noise, 0)
  p = _probabilities(draws, data.judgments.triplets)
  error = data.notes["posterior"]["standard_error"]
  assert 0.0005 < error < 0.005
  np.testing.assert_allclose(
      data.judgments.probabilities, p.mean(axis=0), atol=6 * error
  )
  # The mean is another thing than the probabilities of the mean.
  point = _probabilities(np.maximum(_MU, 0), data.judgments.triplets)
  assert np.abs(data.judgments.probabilities - point).max() > 10 * error
  np.testing.assert_allclose(data.embedding, draws.mean(axis=0), atol=0.15)
  assert data.notes["posterior"]["samples"] == 20_000
  json.dumps(data.notes, allow_nan=False)


def test_posterior_that_is_sure(folder):
  np.savez(folder / "sure.npz", mu=_MU, sigma=np.full_like(_MU, 1e-5))
  data = _load(folder, posterior="sure.npz", samples=1)
  point = np.maximum(_MU, 0)
  np.testing.assert_allclose(data.embedding, point, atol=1e-5)
  expected = judgments_lib.from_embedding(point, concepts=np.arange(5))
  np.testing.assert_array_equal(data.judgments.triplets, expected.triplets)
  np.testing.assert_allclose(
      data.judgments.probabilities, expected.probabilities, atol=1e-4
  )
  assert data.notes["posterior"]["standard_error"] is None


def test_posterior_of_the_rows_that_people_judged(folder):
  given = {
      "posterior": "vice.npz",
      "concept_list": "names.txt",
      "embedding_names": "order.txt",
  }
  data = _load(folder, **given, choices="t.csv", seed=1)
  same = _load(folder, **given, triplets="T.npy", seed=1)
  np.testing.assert_array_equal(data.judgments.triplets, _TRIPLETS)
  assert (data.judgments.probabilities < 1).all()
  np.testing.assert_array_equal(
      data.judgments.probabilities, same.judgments.probabilities
  )
  assert set(data.notes) == {"posterior", "choices"}


def _representations(folder, names):
  labels = labels_lib.Labels(ids=np.array([2, 0, -1, 1]), names=np.array(names))
  features = np.eye(4, dtype=np.float32)
  files = [f"{i}.png" for i in range(4)]
  store.write(folder / "R", features, files, {"concept": labels}, {})


def test_labels_are_rows_of_the_concept_list(folder):
  _representations(folder, _NAMES)
  given = {
      **{"features": None, "concepts": None, "representations": "R"},
      "choices": "t.csv",
  }
  data = _load(folder, **given, concept_list="names.txt")
  assert data.concepts.tolist() == [2, 0, 1]
  assert data.judgments.n_concepts == 6
  with pytest.raises(
      AlignetError, match="of --concept_list .*class 0 'ape' and concept 0 'do"
  ):
    _load(folder, **given, concept_list="order.txt")
  (folder / "seven.txt").write_text("\n".join([*_NAMES, "gnu"]))
  with pytest.raises(AlignetError, match="found 6 classes and 7 concepts"):
    _load(folder, **given, concept_list="seven.txt")


def test_a_nan_is_named_by_its_row_in_the_directory(folder):
  _representations(folder, _NAMES)
  features = np.load(folder / "R" / "features.npy")
  features[3, 1] = np.nan  # The third that has a label.
  np.save(folder / "R" / "features.npy", features)
  given = {"features": None, "concepts": None, "representations": "R"}
  with pytest.raises(AlignetError, match="R: row 3 holds a NaN"):
    _load(folder, **given, embedding="V.npy")


def test_posterior_of_other_classes_than_the_labels(folder):
  _representations(folder, _NAMES[:4])
  given = {"features": None, "concepts": None, "representations": "R"}
  given |= {"posterior": "vice.npz", "embedding_order": "things"}
  with pytest.raises(AlignetError, match="vice.npz: expected 4 rows.* found 6"):
    _load(folder, **given)


def test_names_of_the_labels_are_the_concept_list(folder):
  _representations(folder, _NAMES)
  given = {"features": None, "concepts": None, "representations": "R"}
  data = _load(folder, **given, embedding="V.npy", embedding_names="order.txt")
  np.testing.assert_array_equal(data.embedding, _V)
  named = np.array(_NAMES)[_ORDER]
  sigma = _SIGMA[_ORDER]
  np.savez(folder / "named.npz", mu=_MU[_ORDER], sigma=sigma, names=named)
  data = _load(folder, **given, posterior="named.npz", samples=1)
  np.testing.assert_array_equal(
      data.embedding, readers.Posterior(mu=_MU, sigma=_SIGMA).mean
  )
  data = _load(folder, **given, choices="t.csv")
  np.testing.assert_array_equal(data.judgments.triplets, _TRIPLETS)
  # Without names: as it is said, and only then.
  with pytest.raises(AlignetError, match="names of its 6 rows"):
    _load(folder, **given, embedding="V.npy")
  order = {"embedding_order": "things"}
  data = _load(folder, **given, embedding="V.npy", **order)
  np.testing.assert_array_equal(data.embedding, _V[_ORDER])
  assert data.notes["embedding"]["order"] == "things"


@pytest.mark.parametrize(
    "given, message",
    [
        ({}, "no human judgments .*--posterior=vice.npz"),
        ({"choices": "t.csv"}, "--choices needs --concept_list=concepts.tsv"),
        (
            {"choices": "t.csv", "triplets": "T.npy"},
            "expected --choices or --triplets, found both",
        ),
        (
            {"embedding": "V.npy", "posterior": "vice.npz"},
            "expected --embedding or --posterior, found both",
        ),
        (
            {
                **{"posterior": "vice.npz", "triplets": "T.npy"},
                "probabilities": "T.npy",
            },
            "expected --probabilities or --posterior",
        ),
        (
            {"triplets": "T.npy", "choices_names": "names.txt"},
            "--choices_names needs --choices",
        ),
        (
            {
                **{"triplets": "T.npy", "concept_list": "names.txt"},
                "embedding_names": "names.txt",
            },
            "--embedding_names needs --embedding",
        ),
        (
            {
                **{"choices": "t.csv", "concept_list": "names.txt"},
                "choices_format": "csv",
            },
            "choices_format: expected one of things_csv, .*found 'csv'",
        ),
        ({"posterior": "V.npy"}, "expected an npz with mu and sigma"),
        ({"posterior": "vice.npz", "samples": 0}, "samples: .*found 0"),
        (
            {"choices": "t.csv", "concept_list": "none.txt"},
            "none.txt does not exist",
        ),
        (
            {
                "triplets": "T.npy",
                "concept_list": "names.txt",
                "concepts": None,
            },
            "expected 6 rows, one a concept, found 5",
        ),
    ],
)
def test_bad_files(folder, given, message):
  with pytest.raises(AlignetError, match=message):
    _load(folder, **given)
