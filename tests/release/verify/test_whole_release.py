"""Release folders: damaged ones, and the layout of the public release."""

import hashlib
import json
import shutil

from alignet import transforms
from alignet.cli import main
from alignet.errors import AlignetError
from alignet.release import verify
from alignet.triplets import layout
from alignet.triplets import npz
from alignet.triplets import sampling
from alignet.triplets import similarity
import numpy as np
import pytest

_N = 60
_CLASSES = np.arange(_N) % 6
_CLUSTERS = np.arange(_N) % 5
_NAMES = np.array([f"n{c:08d}_{i}.JPEG" for i, c in enumerate(_CLASSES)])
_FEATURES = np.random.default_rng(0).standard_normal((_N, 8)).astype("f4")
_TRANSFORM = transforms.Transform(
    weights=np.random.default_rng(1).standard_normal((8, 5)) * 0.4,
    bias=np.full(5, 0.1),
)


@pytest.fixture(scope="module")
def public(tmp_path_factory):
  """Files laid out, and written, as the public ones are; no release.json."""
  folder = tmp_path_factory.mktemp("public") / "release_1.1"
  for number, (sampling_, labels) in enumerate(
      (
          ("cluster_border_5", _CLUSTERS),
          ("between_class", _CLASSES),
          ("class_border", _CLASSES),
          ("within_class", _CLASSES),
      )
  ):
    for name in ("uncertainty_distillation", "untransformed"):
      z = _TRANSFORM(_FEATURES) if name != "untransformed" else _FEATURES
      rows = sampling.sample(labels, sampling_, 90, seed=number)
      rows, s = layout.canonical_order(rows, similarity.of_triplets(z, rows))
      (folder / name).mkdir(parents=True, exist_ok=True)
      # Validation rows that no training row has.
      keys = [frozenset(row) for row in rows.tolist()]
      val = np.array([k not in set(keys[:60]) for k in keys])
      for split, part in (("train", ~val), ("val", val)):
        np.savez_compressed(
            folder / name / f"{split}_{sampling_}.npz",
            filenames=_NAMES[rows[part]],
            similarities=s[part],
            indices=rows[part].astype(np.int64),
        )
  main_set = folder / "uncertainty_distillation/train_cluster_border_5.npz"
  shutil.copy(main_set, folder / "alignet_train.npz")
  transforms.save(
      folder / "transforms/uncertainty_distillation/transform.npz", _TRANSFORM
  )
  return folder


@pytest.fixture(scope="module")
def given(tmp_path_factory):
  """Representations and clusters for it."""
  folder = tmp_path_factory.mktemp("given")
  np.save(folder / "features.npy", _FEATURES)
  np.save(folder / "filenames.npy", _NAMES)
  np.savez(folder / "labels.npz")
  np.savez(folder / "clusters.npz", assignments=_CLUSTERS)
  return {"representations": folder, "clusters": folder / "clusters.npz"}


def test_the_public_layout_alone(public):
  found = verify.verify_release(public)
  assert found.ok and len(found.files) == 17
  for file in found.files:
    if "_class" in file.path or "class_" in file.path:
      assert file["sampling"].status == "pass"  # Classes from the names.
    else:
      assert file["sampling"].status == "skipped"
    assert file["recomputed"].status == "skipped"
  assert found.checks[0].status == "skipped"  # No SHA256SUMS.
  assert [c.name for c in found.checks[1:]] == ["disjoint"] * 4


def test_the_public_layout_with_representations_and_clusters(public, given):
  found = verify.verify_release(public, **given)
  assert found.ok
  for file in found.files:
    if not file.path.endswith("alignet_train.npz"):
      assert file["sampling"].status == "pass"
    assert file["filenames"].status == "pass"
    assert file["recomputed"].status == "pass" or (
        # No transform is known by the main file's name.
        file.path.endswith("alignet_train.npz")
    )


@pytest.fixture
def ours(released, tmp_path):
  """A copy of a release of ours, to be damaged."""
  return shutil.copytree(released, tmp_path / "r")


@pytest.fixture(scope="session")
def released(tmp_path_factory):
  """A release by hand, with a manifest and sums."""
  folder = tmp_path_factory.mktemp("ours") / "r"
  (folder / "ud").mkdir(parents=True)
  rows = sampling.sample(_CLASSES, "class_border", 80, seed=0)
  s = similarity.of_triplets(_TRANSFORM(_FEATURES), rows)
  keys = [frozenset(row) for row in rows.tolist()]
  val = np.array([k not in set(keys[:60]) for k in keys])
  entries = []
  for split, part in (("train", ~val), ("val", val)):
    path = f"ud/{split}_class_border.npz"
    npz.write(folder / path, _NAMES, rows[part], s[part])
    entries.append(
        {
            "path": path,
            "transform": "ud",
            "split": split,
            "sampling": "class_border",
        }
    )
  transforms.save(folder / "transforms/ud/transform.npz", _TRANSFORM)
  reps = folder / "representations"
  reps.mkdir()
  np.save(reps / "features.npy", _FEATURES)
  np.save(reps / "filenames.npy", _NAMES)
  np.savez(reps / "labels.npz")
  manifest = {
      "sources": {"": {"representations": "representations"}},
      "files": entries,
  }
  (folder / "release.json").write_text(json.dumps(manifest))
  _sum(folder)
  return folder


def _sum(folder):
  paths = [p for p in sorted(folder.rglob("*")) if p.is_file()]
  lines = [
      f"{hashlib.sha256(p.read_bytes()).hexdigest()}"
      f"  {p.relative_to(folder).as_posix()}\n"
      for p in paths
      if p.name != "SHA256SUMS"
  ]
  (folder / "SHA256SUMS").write_text("".join(lines))


def test_ours_passes(released):
  found = verify.verify_release(released)
  assert found.ok
  assert {c.status for c in found.checks} == {"pass"}
  for file in found.files:
    assert {c.status for c in file.checks} == {"pass", "info"}


def test_a_truncated_file_is_reported_and_the_others_checked(ours):
  path = ours / "ud/train_class_border.npz"
  path.write_bytes(path.read_bytes()[:-200])
  found = verify.verify_release(ours)
  assert not found.ok
  assert found.checks[0].status == "fail"
  assert "1 changed, first ud/train_class_border.npz" in found.checks[0].message
  broken, whole = found.files
  assert broken["readable"].status == "fail" and whole.ok


def test_a_missing_and_a_foreign_file(ours):
  (ours / "ud/val_class_border.npz").unlink()
  (ours / "note.txt").write_text("new")
  found = verify.verify_release(ours)
  assert "1 missing, first ud/val" in found.checks[0].message
  assert "1 not listed, first note.txt" in found.checks[0].message
  assert found.files[1]["readable"].status == "fail"


def test_a_file_that_is_only_more_is_no_failure(ours):
  (ours / "note.txt").write_text("new")
  found = verify.verify_release(ours)
  assert found.ok and found.checks[0].status == "warn"


def test_validation_rows_among_the_training_rows(ours):
  shutil.copy(
      ours / "ud/train_class_border.npz", ours / "ud/val_class_border.npz"
  )
  _sum(ours)
  found = verify.verify_release(ours)
  (check,) = [c for c in found.checks if c.name == "disjoint"]
  n = found.files[0].n
  assert check.status == "warn" and f"{n} of {n}" in check.message


def test_another_transform(ours):
  transforms.save(
      ours / "transforms/ud/transform.npz",
      transforms.identity(8),
      overwrite=True,
  )
  _sum(ours)
  found = verify.verify_release(ours)
  assert all(f["recomputed"].status == "fail" for f in found.files)


def test_command(released, ours, capsys):
  assert main.main(["verify", str(released)]) == 0
  text = capsys.readouterr().out
  assert "checksums" in text and "ud/val_class_border.npz" in text
  assert main.main(["verify", str(released), "--json"]) == 0
  found = json.loads(capsys.readouterr().out)
  assert found["ok"] and len(found["files"]) == 2
  assert main.main(["verify", str(released), "--strategy=within"]) == 2


@pytest.mark.parametrize(
    "text",
    [
        *("{", "[1]", "[" * 100_000, '{"card": 1}', '{"files": []}'),
        *('{"files": [{}]}', '{"files": [1]}', '{"files": [{"path": 1}]}'),
        '{"files": [{"path": "/etc/a.npz", "split": "val"}]}',
        '{"files": [{"path": "../a.npz", "split": "val"}]}',
        '{"files": [{"path": "a.npz", "split": []}]}',
        '{"files": [{"path": "a.npz", "split": "val", "sampling": []}]}',
        '{"files": [{"path": "a.npz", "split": "val"}], "sources": [1]}',
        '{"files": [{"path": "a", "split": "val"}], "sources": {"": [1]}}',
    ],
)
def test_a_manifest_that_cannot_be_stops_nothing(ours, text, capsys):
  (ours / "release.json").write_text(text)
  assert main.main(["verify", str(ours), "--json"]) == 1
  found = json.loads(capsys.readouterr().out)
  (check,) = [c for c in found["checks"] if c["name"] == "manifest"]
  assert check["status"] == "fail" and "release.json" in check["message"]
  assert len(found["files"]) == 2 and all(f["ok"] for f in found["files"])
  assert main.main(["verify", str(ours)]) == 1


def test_a_manifest_that_cannot_be_in_an_empty_folder(tmp_path, capsys):
  (tmp_path / "release.json").write_text('{"files": [{}]}')
  assert main.main(["verify", str(tmp_path), "--json"]) == 1
  assert json.loads(capsys.readouterr().out)["files"] == []


def test_damaged_representations_stop_nothing(ours):
  path = ours / "representations/filenames.npy"
  path.write_bytes(path.read_bytes()[:50])
  found = verify.verify_release(ours)
  (check,) = [c for c in found.checks if c.name == "sources"]
  assert check.status == "fail" and "filenames.npy" in check.message
  assert all(file.ok for file in found.files)
  # Those that were given are the caller's to mend.
  with pytest.raises(AlignetError, match="filenames.npy"):
    verify.verify_release(ours, representations=path.parent)


def test_one_hostile_file_stops_nothing(ours):
  path = ours / "ud/train_class_border.npz"
  with np.load(path) as old:
    arrays = dict(old)
  np.savez(path, **arrays | {"meta": np.array('{"temperature": null}')})
  hostile, whole = verify.verify_release(ours).files
  assert hostile["meta"].status == "fail" and whole.ok


def test_sums_in_no_encoding(ours):
  (ours / "SHA256SUMS").write_bytes(b"\xff\xfe")
  assert verify.verify_release(ours).checks[0].status == "fail"


def test_a_folder_without_files(tmp_path):
  with pytest.raises(AlignetError, match="holds no AligNet npz"):
    verify.verify_release(tmp_path)
  with pytest.raises(AlignetError, match="is no folder"):
    verify.verify_release(tmp_path / "nowhere")


def _statuses(folder, given, path):
  found = verify.verify_release(folder, **given)
  (verification,) = (v for v in found.files if v.path == str(folder / path))
  return {check.name: check for check in verification.checks}


def test_a_sampling_that_others_named_stops_nothing(public, given, tmp_path):
  folder = shutil.copytree(public, tmp_path / "r")
  source = folder / "untransformed/val_class_border.npz"
  shutil.copy(source, folder / "untransformed/val_my_set.npz")
  checks = _statuses(folder, given, "untransformed/val_my_set.npz")
  assert checks["sampling"].status == "skipped"
  assert checks["odd_last"].status == "pass"


def test_a_damaged_transform_fails_and_an_absent_one_is_skipped(
    public, given, tmp_path
):
  folder = shutil.copytree(public, tmp_path / "r")
  at = folder / "transforms/uncertainty_distillation/transform.npz"
  path = "uncertainty_distillation/val_class_border.npz"
  assert _statuses(folder, given, path)["recomputed"].status == "pass"
  at.write_bytes(at.read_bytes()[:100])
  check = _statuses(folder, given, path)["readable"]
  assert check.status == "fail" and "transform.npz" in check.message
  transforms.save(at, transforms.identity(3), overwrite=True)
  assert _statuses(folder, given, path)["readable"].status == "fail"
  at.unlink()
  assert _statuses(folder, given, path)["recomputed"].status == "skipped"
