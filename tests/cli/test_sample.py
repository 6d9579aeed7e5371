import argparse
import os

from alignet.cli import sample
from alignet.data import labels as labels_lib
from alignet.errors import AlignetError
from alignet.errors import OutputExistsError
from alignet.io import files
from alignet.io import identities
from alignet.representations import store
from alignet.triplets import sampling
import numpy as np
import pytest

_LABELS = np.array([*np.arange(60) % 6, 9], np.int32)


@pytest.fixture
def folder(tmp_path):
  """Labels, clusters and representations of 61 images."""
  np.save(tmp_path / "labels.npy", _LABELS)
  np.savez(
      tmp_path / "clusters.npz",
      assignments=np.arange(61, dtype=np.int32) % 5,
      centroids=np.zeros((5, 2), np.float32),
      inertia=1.0,
      meta="{}",
  )
  store.write(
      tmp_path / "representations",
      np.zeros((61, 2), np.float32),
      [f"{i}.jpg" for i in range(61)],
      {
          "basic": labels_lib.Labels(
              ids=_LABELS, names=np.array(list("abcdefghij"))
          )
      },
      {"model": "none"},
  )
  return tmp_path


def _run(folder, *flags):
  parser = argparse.ArgumentParser()
  parser.add_argument("--quiet", action="store_true")
  sample.add_arguments(parser)
  out = folder / "out" / "triplets.npz"
  args = [f.replace("DIR", str(folder)) for f in flags]
  sample.run(parser.parse_args([*args, f"--out={out}", "--n=100"]))
  return sampling.read(out)


@pytest.mark.parametrize(
    ("flags", "strategy", "labels"),
    [
        (["--labels=DIR/labels.npy"], "class_border", _LABELS),
        (["--labels=DIR/labels.npy"], "between", _LABELS),
        (["--labels=DIR/labels.npy"], "random", _LABELS),
        (
            ["--clusters=DIR/clusters.npz"],
            "cluster_border_5",
            np.arange(61) % 5,
        ),
        (
            ["--representations=DIR/representations", "--level=basic"],
            "within_class",
            _LABELS,
        ),
        (
            ["--representations=DIR/representations"],
            "random",
            np.zeros(61, int),
        ),
    ],
)
def test_samples_by_each_kind_of_labels(folder, flags, strategy, labels):
  indices, meta = _run(
      folder, *flags, f"--strategy={strategy}", "--seed=4", "--law=images"
  )
  np.testing.assert_array_equal(
      indices, sampling.sample(labels, strategy, 100, seed=4, law="images")
  )
  assert meta["strategy"] == strategy and meta["seed"] == 4
  assert meta["law"] == "images"


def test_says_what_was_left_out(folder, capsys):
  np.save(folder / "e.npy", [0, 1])
  _, meta = _run(
      folder,
      "--labels=DIR/labels.npy",
      "--strategy=class_border",
      "--exclude=DIR/e.npy",
      "--rows=as_stored",
  )
  out = capsys.readouterr().out
  assert "100 triplets, class_border, of 58 images in 6 groups" in out
  assert "left out: 1 groups of fewer than 2 images: 9" in out
  assert meta["inputs_sha256"] == {
      "labels": files.sha256(folder / "labels.npy"),
      "exclude": files.sha256(folder / "e.npy"),
  }


def test_classes_left_out_and_distinct_rows(folder):
  np.save(folder / "c.npy", [0, 3])
  sampling.write(folder / "val.npz", np.arange(61) % 5, "border", 9, seed=0)
  rows, meta = _run(
      folder,
      "--clusters=DIR/clusters.npz",
      "--strategy=cluster_border_5",
      "--representations=DIR/representations",
      "--exclude_classes=DIR/c.npy",
      "--exclude_level=basic",
      "--disjoint_from",
      "DIR/val.npz",
      "--rows=as_stored",
  )
  assert not np.isin(_LABELS[rows], [0, 3]).any()
  assert meta["n_images_excluded"] == 20 and meta["distinct"]
  val = sampling.read(folder / "val.npz")[0]
  every = [frozenset(row) for row in [*rows.tolist(), *val.tolist()]]
  assert len(set(every)) == 109
  assert meta["inputs_sha256"]["exclude_classes"]


def test_quiet(folder, capsys):
  _run(folder, "--labels=DIR/labels.npy", "--strategy=class_border", "--quiet")
  assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--strategy=nearest"], "unknown sampling strategy 'nearest'"),
        (["--strategy=random"], "pass the labels"),
        (
            [
                "--strategy=random",
                "--labels=DIR/labels.npy",
                "--exclude_classes=x",
            ],
            "go together",
        ),
        (["--strategy=within", "--level=basic"], "--representations=DIR"),
        (
            ["--strategy=within", "--representations=DIR/representations"],
            "--level",
        ),
        (
            [
                "--strategy=within",
                "--representations=DIR/representations",
                "--level=concept",
            ],
            "has the levels basic",
        ),
        (
            [
                "--strategy=within",
                "--labels=DIR/labels.npy",
                "--clusters=DIR/clusters.npz",
            ],
            "found 2 of them",
        ),
        (
            ["--strategy=cluster_border_6", "--clusters=DIR/clusters.npz"],
            "promises 6 clusters; .*clusters.npz has 5",
        ),
        (
            ["--strategy=cluster_border_4", "--clusters=DIR/clusters.npz"],
            "promises 4 clusters",
        ),
        (
            ["--strategy=class_border", "--clusters=DIR/clusters.npz"],
            "--strategy=cluster_border_K",
        ),
        (
            [
                "--strategy=cluster_border_10",
                "--representations=DIR/representations",
                "--level=basic",
            ],
            "--clusters=clusters.npz",
        ),
        (["--strategy=random", "--labels=DIR/nowhere.npy"], "does not exist"),
        (["--strategy=random", "--labels=DIR/clusters.npz"], "npz archive"),
        (["--strategy=random", "--clusters=DIR/bad.npz"], "assignments"),
        (
            ["--strategy=random", "--labels=DIR/labels.npy", "--seed=-1"],
            "seed",
        ),
    ],
)
def test_refusals_leave_nothing(folder, flags, message):
  np.savez(folder / "bad.npz", a=1)
  with pytest.raises(AlignetError, match=message):
    _run(folder, *flags)
  assert not os.path.exists(folder / "out") or not os.listdir(folder / "out")


def test_existing_output(folder):
  flags = ["--labels=DIR/labels.npy", "--strategy=random"]
  first, _ = _run(folder, *flags)
  with pytest.raises(OutputExistsError, match="--overwrite"):
    _run(folder, *flags, "--seed=1")
  again, _ = _run(folder, *flags, "--seed=1", "--overwrite")
  assert (first != again).any()


def test_numbers_of_what_is_not_said_need_a_word(folder):
  np.save(folder / "e.npy", [0, 1])
  for flags in (
      ["--labels=DIR/labels.npy", "--exclude=DIR/e.npy"],
      ["--labels=DIR/labels.npy", "--representations=DIR/representations"],
      ["--clusters=DIR/clusters.npz", "--representations=DIR/representations"],
  ):
    with pytest.raises(AlignetError, match="does not say .*--rows=as_stored"):
      _run(folder, *flags, "--strategy=random")


def test_rows_say_which_images_they_number(folder):
  reps = store.open(folder / "representations")
  flags = ("--representations=DIR/representations", "--level=basic")
  _, meta = _run(folder, *flags, "--strategy=within")
  assert meta["rows"] == reps.rows == identities.of_names(reps.filenames)
