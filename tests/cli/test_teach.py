"""`alignet teach`, called in this process."""

import argparse
import inspect
import json

from alignet import transforms
from alignet.cli import judgments as flags_lib
from alignet.cli import main
from alignet.cli import teach as cli
from alignet.data import labels as labels_lib
from alignet.data import linear_world
from alignet.human import judgments as judgments_lib
from alignet.representations import store
from alignet.triplets import similarity
import numpy as np
import pytest
from uncertainty_distillation import config as config_lib
from uncertainty_distillation import human
from uncertainty_distillation import inputs

_TRUST = ("--rows=as_stored", "--columns=as_given")
_FAST = ("--steps=50", "--batch=512", "--inner_folds=3")


@pytest.fixture
def folder(tmp_path):
  """F.npy, V.npy, C.npy of a simulated problem; T.npy and P.npy from V.

  Also names.txt, the concepts' names; W.npy, V in the order of order.txt; and
  t.csv, choices of most of T, two of them repeated, and three impossible ones.
  """
  x, concepts, embedding = linear_world.make(40, 2, seed=0)
  soft = judgments_lib.from_embedding(embedding)
  for name, array in {
      "F": x,
      "C": concepts,
      "V": embedding,
      "T": soft.triplets,
      "P": soft.probabilities,
  }.items():
    np.save(tmp_path / f"{name}.npy", array)
  names = np.array([f"c{i}" for i in range(len(embedding))])
  order = np.random.default_rng(0).permutation(len(names))
  (tmp_path / "names.txt").write_text("\n".join(names))
  (tmp_path / "order.txt").write_text("\n".join(names[order]))
  np.save(tmp_path / "W.npy", embedding[order])
  choices = judgments_lib.sample_choices(soft, seed=0).triplets
  # As many good rows as T has, so that what is compiled fits all tests.
  rows = [*choices[:-2], *choices[:2], *[[3, 3, 4]] * 3]
  lines = ["subject_id\timage1\timage2\timage3\tchoice"]
  lines += [f"A\t{i + 1}\t{j + 1}\t{k + 1}\t3" for i, j, k in rows]
  (tmp_path / "t.csv").write_text("\n".join(lines))
  return tmp_path


def _teach(folder, *flags, out="transform.npz"):
  paths = [
      f"--{name}={folder / file}"
      for name, file in (
          f.removeprefix("@").split("=") for f in flags if f[0] == "@"
      )
  ]
  rest = [f for f in flags if f[0] != "@"]
  return main.main(
      ["teach", *paths, *rest, *_TRUST, *_FAST, f"--out={folder / out}"]
  )


_EMBEDDING = ("@features=F.npy", "@embedding=V.npy", "@concepts=C.npy")


def _agreement(folder, transform):
  z = transform(np.load(folder / "F.npy")[::2])
  s = similarity.of_triplets(z, np.load(folder / "T.npy"))
  likeliest = np.load(folder / "P.npy").argmax(axis=1)
  return (s.argmax(axis=1) == likeliest).mean()


def test_embedding(folder, capsys):
  assert _teach(folder, *_EMBEDDING) == 0
  line = capsys.readouterr().out
  assert "32 -> 6 dimensions" in line and "agreement" in line
  assert line.count("\n") == 1
  transform = transforms.load(folder / "transform.npz")
  assert _agreement(folder, transform) > 0.8
  meta = transform.meta
  assert meta["concepts"] == 40 and meta["images"] == 80
  assert set(meta["inputs"]) == {"features", "embedding", "concepts"}
  assert meta["config"]["seed"] == 0 and "numpy" in meta["versions"]
  json.dumps(meta, allow_nan=False)


def test_probabilities_equal_the_embedding_they_come_from(folder):
  assert _teach(folder, *_EMBEDDING, "--quiet") == 0
  flags = ("@triplets=T.npy", "@probabilities=P.npy", "--quiet")
  assert _teach(folder, *_EMBEDDING, *flags, out="t.npz") == 0
  a, b = (transforms.load(folder / f) for f in ("transform.npz", "t.npz"))
  np.testing.assert_allclose(a.weights, b.weights, rtol=1e-4, atol=1e-5)


def test_choices_alone(folder, capsys):
  flags = ("@features=F.npy", "@concepts=C.npy", "@triplets=T.npy", "--quiet")
  assert _teach(folder, *flags) == 0
  assert capsys.readouterr().out == ""
  assert transforms.load(folder / "transform.npz").weights.shape == (32, 32)


_LISTED = ("@features=F.npy", "@concepts=C.npy", "@concept_list=names.txt")


def test_files_as_published(folder, capsys):
  """Choices with impossible rows, an embedding in another order."""
  flags = (
      *(*_LISTED, "@choices=t.csv", "--on_impossible=drop"),
      *("@embedding=W.npy", "@embedding_names=order.txt"),
  )
  assert _teach(folder, *flags) == 0
  said, _ = capsys.readouterr().out.splitlines()
  n = len(np.load(folder / "T.npy"))
  assert said == (
      f"{n + 3} choices read: 3 impossible and 0 of unknown concepts dropped,"
      " 2 of the others repeated"
  )
  transform = transforms.load(folder / "transform.npz")
  assert transform.meta["notes"]["choices"]["impossible"] == 3
  assert transform.meta["triplets"] == n
  assert {"choices", "concept_list", "embedding_names"} <= set(
      transform.meta["inputs"]
  )
  assert _agreement(folder, transform) > 0.8


def test_posterior(folder, capsys):
  v = np.load(folder / "W.npy")
  np.savez(folder / "vice.npz", mu=v, sigma=np.full_like(v, 0.1))
  flags = ("@posterior=vice.npz", "@embedding_names=order.txt", "--samples=5")
  assert _teach(folder, *_LISTED, *flags) == 0
  said, _ = capsys.readouterr().out.splitlines()
  assert said.startswith("standard error of the targets 0.0")
  assert said.endswith("with 5 samples")
  transform = transforms.load(folder / "transform.npz")
  assert _agreement(folder, transform) > 0.8
  assert transform.meta["notes"]["posterior"]["samples"] == 5
  assert "posterior" in transform.meta["inputs"]


def test_the_best_of_several_settings(folder, capsys):
  flags = ("--standardise=scalar,per_dimension", "--width=2,6", "--quiet")
  assert _teach(folder, *_EMBEDDING, *flags) == 0
  meta = transforms.load(folder / "transform.npz").meta
  assert len(meta["tuned"]) == 4 and meta["config"]["width"] == 6
  assert _teach(folder, *_EMBEDDING, "--start=ridge,zero", out="x.npz") == 2
  assert 'expected "small", a thousandth' in capsys.readouterr().err
  assert _teach(folder, *_EMBEDDING, "--width=two", out="x.npz") == 2
  assert (
      "argument --width: expected values with commas" in capsys.readouterr().err
  )


def test_settings_are_those_of_the_config():
  parser = argparse.ArgumentParser()
  cli.add_arguments(parser)
  args = parser.parse_args(["--out=t.npz"])
  assert cli._configs(args) == [config_lib.Config()]


def test_flags_say_what_load_takes():
  """They are written by hand, so that --help imports nothing."""
  parser = argparse.ArgumentParser()
  flags_lib.add_arguments(parser)
  given = flags_lib.given(parser.parse_args([]))
  parameters = inspect.signature(inputs.load).parameters
  assert given == {name: parameters[name].default for name in given}
  (choices,) = (
      a.choices for a in parser._actions if a.dest == "choices_format"
  )
  assert choices == human.CHOICES_FORMATS


def test_row_i_is_concept_i_without_concepts(folder):
  np.save(folder / "F.npy", np.load(folder / "F.npy")[::2])
  assert _teach(folder, "@features=F.npy", "@embedding=V.npy") == 0


def test_an_existing_output_stays(folder, capsys):
  out = folder / "transform.npz"
  out.write_bytes(b"mine")
  assert _teach(folder, *_EMBEDDING) == 2
  assert "already exists" in capsys.readouterr().err
  assert out.read_bytes() == b"mine"
  assert _teach(folder, *_EMBEDDING, "--overwrite", "--quiet") == 0
  transforms.load(out)


def _break(folder, name, change):
  path = folder / f"{name}.npy"
  array = np.load(path)
  np.save(path, change(array))


def _set(row, value):
  def change(array):
    array[row] = value
    return array

  return change


@pytest.mark.parametrize(
    "flags, broken, message",
    [
        (("@features=F.npy",), None, "--embedding=V.npy"),
        (
            ("@features=F.npy", "@embedding=V.npy", "@probabilities=P.npy"),
            None,
            "--triplets=T.npy",
        ),
        (("@features=F.npy", "@embedding=V.npy"), None, "--concepts"),
        (("@features=no.npy", "@embedding=V.npy"), None, "does not exist"),
        (_EMBEDDING, ("F", _set((7, 1), np.nan)), "features: row 7 "),
        (
            # Not its number among the rows of a fold.
            (*_EMBEDDING, "--cross_validate=3"),
            ("F", _set((70, 1), np.nan)),
            "features: row 70 ",
        ),
        (_EMBEDDING, ("V", _set((7, 1), np.nan)), "V.npy: row 7 "),
        (_EMBEDDING, ("C", _set(5, 40)), "concepts: row 5 is 40"),
        (_EMBEDDING, ("C", lambda c: c[:-1]), "concepts: expected shape"),
        (
            (*_EMBEDDING, "@triplets=T.npy"),
            ("T", _set(3, [1, 2, 40])),
            "T.npy: row 3 ",
        ),
        (
            (*_EMBEDDING, "@triplets=T.npy"),
            ("T", _set(3, [1, 2, 1])),
            "T.npy: row 3 ",
        ),
        (
            (*_EMBEDDING, "@triplets=T.npy", "@probabilities=P.npy"),
            ("P", _set(9, [0.5, 0.4, 0.3])),
            "probabilities: row 9 ",
        ),
        (
            (*_EMBEDDING, "@triplets=T.npy", "@probabilities=P.npy"),
            ("P", lambda p: p[:-1]),
            "probabilities: expected",
        ),
        ((*_EMBEDDING, "--width=7"), None, "width: expected at most 6"),
        (
            ("@features=F.npy", "@concepts=C.npy", "@choices=t.csv"),
            None,
            "--choices needs --concept_list",
        ),
        ((*_LISTED, "@choices=t.csv"), None, "--on_impossible=drop"),
        ((*_LISTED, "@embedding=W.npy"), None, "--embedding_order"),
        ((*_EMBEDDING, "--odd=first"), None, "--odd needs --triplets=T.npy"),
        ((*_EMBEDDING, "--numbered_from=0"), None, "--numbered_from needs"),
        ((*_LISTED, "@posterior=V.npy"), None, "expected an npz with mu"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_written(
    folder, capsys, flags, broken, message
):
  if broken:
    _break(folder, *broken)
  before = sorted(folder.iterdir())
  assert _teach(folder, *flags) == 2
  error = capsys.readouterr().err
  assert message in error and error.count("\n") == 1
  assert sorted(folder.iterdir()) == before


def test_representations_with_labels(folder, capsys):
  x, concepts = (np.load(folder / f"{name}.npy") for name in "FC")
  n = len(np.load(folder / "V.npy"))
  # Some images without a concept, which are passed over.
  x = np.concatenate([x, x[:3]])
  ids = np.concatenate([concepts, [-1] * 3])
  labels = labels_lib.Labels(
      ids=ids, names=np.array([f"c{i}" for i in range(n)])
  )
  store.write(
      folder / "R",
      x.astype(np.float32),
      [f"{i}.png" for i in range(len(x))],
      {"concept": labels},
      {},
  )
  assert _teach(folder, "@representations=R", "@embedding=V.npy") == 2
  assert "expected either the names of its 40 rows" in capsys.readouterr().err
  order = "--embedding_order=things"
  assert _teach(folder, "@representations=R", "@embedding=V.npy", order) == 0
  assert _teach(folder, *_EMBEDDING, out="plain.npz") == 0
  a, b = (transforms.load(folder / f) for f in ("transform.npz", "plain.npz"))
  np.testing.assert_allclose(a.weights, b.weights, rtol=1e-5, atol=1e-6)
  capsys.readouterr()
  for flags, message in (
      (
          ("@representations=R", "@embedding=F.npy", order),
          "expected 40 rows, one a",
      ),
      (
          ("@representations=R", "@embedding=V.npy", order, "--level=basic"),
          "no labels",
      ),
      (("@representations=R", *_EMBEDDING), "either --features=F.npy"),
      (("@embedding=V.npy",), "either --features=F.npy"),
  ):
    assert _teach(folder, *flags, out="none.npz") == 2
    assert message in capsys.readouterr().err


def test_cross_validation(folder, capsys):
  flags = (*_EMBEDDING, "--cross_validate=3", "--repeats=2")
  np.save(folder / "B.npy", np.arange(40) % 5)
  assert _teach(folder, *flags, "@blocks=B.npy") == 0
  out = capsys.readouterr().out
  assert "ours - ridge" in out and "6 folds" in out
  report = json.loads(
      (folder / "transform.npz.report" / "report.json").read_text()
  )
  assert set(report["methods"]) == {"ours", "ridge", "raw"}
  assert report["methods"]["ours"]["agreement"]["value"] > 0.6
  picture = folder / "transform.npz.report" / "calibration.png"
  assert picture.read_bytes().startswith(b"\x89PNG")
  meta = transforms.load(folder / "transform.npz").meta
  assert meta["cross_validation"]["raw"] == report["methods"]["raw"]


def test_cross_validation_of_choices_and_of_a_posterior(folder, capsys):
  v = np.load(folder / "W.npy")
  np.savez(folder / "vice.npz", mu=v, sigma=np.full_like(v, 0.1))
  choices = ("@choices=t.csv", "--on_impossible=drop")
  posterior = ("@posterior=vice.npz", "@embedding_names=order.txt")
  entropies = []
  for flags in (choices, (*posterior, "--samples=3")):
    flags = (*_LISTED, *flags, "--cross_validate=2", "--overwrite")
    assert _teach(folder, *flags) == 0
    assert "ours - raw" in capsys.readouterr().out
    path = folder / "transform.npz.report" / "report.json"
    report = json.loads(path.read_text())
    assert report["methods"]["ours"]["agreement"]["value"] > 0.4
    difference = report["differences"]["ours - raw"]["cross_entropy_fitted"]
    assert difference["high"] < 0
    entropies.append(report["entropy_of_people"])
  # Choices are certain, and one person's here; a posterior is not.
  assert entropies[0] == 0 and entropies[1] > 0.3


def test_cross_validation_beside_a_published_transform(folder, capsys):
  """One with the four arrays of gLocal's files and no more."""
  arrays = {"weights": np.eye(32, dtype=np.float32)[:, :9], "bias": np.ones(9)}
  np.savez(folder / "glocal.npz", **arrays, mean=0.5, std=2.0)
  flags = (*_EMBEDDING, "--cross_validate=3")
  compare = f"--compare=glocal={folder / 'glocal.npz'}"
  assert _teach(folder, *flags, compare) == 0
  assert "\nglocal: not fitted here; may have seen" in capsys.readouterr().out
  path = folder / "transform.npz.report" / "report.json"
  report = json.loads(path.read_text())
  assert set(report["methods"]) == {"ours", "ridge", "raw", "glocal"}
  assert "ours - glocal" in report["differences"]
  assert {"glocal", "features"} <= set(report["inputs"])
  for bad, message in (
      ((*flags, compare.replace("=glocal=", "=ridge=")), "a name other than"),
      ((*_EMBEDDING, compare), "--compare needs --cross_validate"),
  ):
    assert _teach(folder, *bad, out="none.npz") == 2
    assert message in capsys.readouterr().err
