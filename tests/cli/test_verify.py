import argparse
import json

from alignet import transforms
from alignet.cli import verify
from alignet.data import labels as labels_lib
from alignet.errors import AlignetError
from alignet.io import identities
from alignet.representations import store
from alignet.triplets import npz
from alignet.triplets import sampling
from alignet.triplets import similarity
import numpy as np
import pytest

_LABELS = np.arange(60, dtype=np.int32) % 6
_NAMES = np.array([f"{i}.jpg" for i in range(60)])
_FEATURES = np.random.default_rng(0).standard_normal((60, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """An AligNet npz and all that it was made of."""
  folder = tmp_path_factory.mktemp("verify")
  np.save(folder / "labels.npy", _LABELS)
  store.write(
      folder / "representations",
      _FEATURES,
      _NAMES,
      {"basic": labels_lib.Labels(ids=_LABELS, names=np.array(list("abcdef")))},
      {"model": "none"},
  )
  for name, scale in (("transform", 1.2), ("other", 0.7)):
    transforms.save(
        folder / f"{name}.npz",
        transforms.Transform(
            weights=np.eye(4, dtype=np.float32) * np.float32(scale),
            bias=np.zeros(4, np.float32),
            meta={"columns": {"model": "none"}},
        ),
    )
  rows = sampling.sample(_LABELS, "class_border", 50, seed=0)
  z = transforms.load(folder / "transform.npz")(_FEATURES)
  similarities = similarity.of_triplets(z, rows)
  npz.write(folder / "a.npz", _NAMES, rows, similarities)
  return folder


def _run(folder, *flags):
  parser = argparse.ArgumentParser()
  verify.add_arguments(parser)
  return verify.run(
      parser.parse_args([f.replace("DIR", str(folder)) for f in flags])
  )


_FULL = [
    "--representations=DIR/representations",
    "--level=basic",
    "--strategy=class_border",
    "--transform=DIR/transform.npz",
]


def test_prints_a_line_a_check(folder, capsys):
  assert _run(folder, "DIR/a.npz", *_FULL) == 0
  lines = capsys.readouterr().out.splitlines()
  status = {line.split()[1]: line.split()[0] for line in lines}
  assert len(status) == len(lines) == 20
  for name in ("duplicates", "images", "labels"):
    assert status.pop(name) == "info"
  assert set(status.values()) == {"pass"}


def test_file_alone(folder, capsys):
  assert _run(folder, "DIR/a.npz") == 0
  lines = capsys.readouterr().out.splitlines()
  assert sum(line.startswith("skipped") for line in lines) == 3


def test_json(folder, capsys):
  assert _run(folder, "DIR/a.npz", "--json", *_FULL) == 0
  found = json.loads(capsys.readouterr().out)
  assert found["ok"] is True and found["n"] == 50
  assert {c["name"] for c in found["checks"]} >= {"recomputed", "sampling"}


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        (
            [
                *("--labels=DIR/labels.npy", "--strategy=within"),
                "--rows=as_stored",
            ],
            "sampling",
        ),
        (
            [
                "--representations=DIR/representations",
                "--transform=DIR/other.npz",
            ],
            "recomputed",
        ),
    ],
)
def test_1_when_a_check_fails(folder, capsys, flags, name):
  assert _run(folder, "DIR/a.npz", *flags) == 1
  lines = capsys.readouterr().out.splitlines()
  assert [x.split()[1] for x in lines if x.startswith("fail")] == [name]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["DIR/nowhere.npz"], "does not exist"),
        (["DIR/a.npz", "--strategy=within"], "pass both"),
        (["DIR/a.npz", "--labels=DIR/labels.npy"], "pass both"),
        (["DIR/a.npz", "--strategy=x"], "unknown sampling strategy"),
        (["DIR/a.npz", "--transform=DIR/transform.npz"], "--representations"),
        (["DIR/a.npz", "--level=basic"], "--representations"),
        (["DIR/a.npz", "--representations=DIR/nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_used(folder, flags, message):
  with pytest.raises(AlignetError, match=message):
    _run(folder, *flags)


def test_a_file_of_another_format(folder, capsys):
  assert _run(folder, "DIR/labels.npy") == 1
  assert "expected an .npz archive" in capsys.readouterr().out


def test_clusters_of_other_images_are_not_joined_by_number(folder, tmp_path):
  """With representations or without: numbers mean what the files say."""
  opened = npz.open(folder / "a.npz")
  npz.write(
      *(tmp_path / "b.npz", _NAMES, opened.indices, opened.similarities),
      meta={"rows": identities.of_names(_NAMES)},
  )
  ask = (f"{tmp_path}/b.npz", f"--clusters={tmp_path}/c.npz")
  ask += ("--strategy=border",)
  other = identities.of_names([f"other{i}.jpg" for i in range(60)])
  for rows, said in (
      (other, "numbers other rows than"),
      (None, "--rows=as_st"),
  ):
    meta = json.dumps({"rows": rows})
    np.savez(tmp_path / "c.npz", assignments=_LABELS, meta=meta)
    for more in ((), ("--representations=DIR/representations",)):
      with pytest.raises(AlignetError, match=said):
        _run(folder, *ask, *more)
  assert _run(folder, *ask, "--rows=as_stored") == 0
