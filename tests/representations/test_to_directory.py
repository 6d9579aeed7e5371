"""Extraction to a directory: shards, resume, merge, bad images."""

import errno
import json
import os
import signal
import subprocess
import sys
import time

from alignet.data import image_folder
from alignet.data import image_sources
from alignet.errors import AlignetError
from alignet.errors import OutputExistsError
from alignet.io import files
from alignet.models.encoders import encoders
from alignet.representations import extract
from alignet.representations import store
import cv2
import numpy as np
import pytest

N = 23


class Means:
  """An encoder that takes the mean colour of each image."""

  def __init__(self, *, parallel=True, factor=1.0, batch_size=4):
    self.meta = {"model": "means", "layer": "m", "factor": factor}
    self.size, self.batch_size, self.parallel = 8, batch_size, parallel
    self.factor, self.seen = np.float32(factor), 0

  def __call__(self, images):
    assert images.shape[1:] == (8, 8, 3) and images.dtype == np.uint8
    self.seen += len(images)
    return images.mean(axis=(1, 2), dtype=np.float32) * self.factor


@pytest.fixture
def folder(tmp_path):
  root = tmp_path / "images"
  rng = np.random.default_rng(0)
  for i in range(N):
    path = root / f"class{i % 3}" / f"{i:02d}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    side = (8, 16)[i % 2]
    cv2.imwrite(str(path), rng.integers(0, 256, (side, 9, 3), np.uint8))
  return root


def _run(folder, out, *, encoder=None, **settings):
  return extract.to_directory(
      image_folder.FolderSource(folder),
      encoder or Means(),
      out,
      **{"shard_size": 6, **settings},
  )


def _bytes(out):
  return {p.name: p.read_bytes() for p in sorted(out.iterdir())}


@pytest.mark.parametrize("parallel", [True, False])
def test_rows_names_labels_and_meta(folder, tmp_path, parallel):
  outcome = _run(folder, tmp_path / "r", encoder=Means(parallel=parallel))
  reps = store.open(tmp_path / "r", verify=True)
  source = image_folder.FolderSource(folder)
  for i in range(N):
    image = image_sources.pixels(source[i], 8)
    np.testing.assert_allclose(
        reps.features[i], image.mean(axis=(0, 1)), rtol=1e-6
    )
    assert reps.filenames[i] == source[i].filename
    assert reps.labels["subordinate"].ids[i] == source[i].ids["subordinate"]
  assert outcome == extract.Outcome(N, 0, {}, N)
  assert reps.meta["resize"] == "OpenCV cubic, 8 x 8"
  assert reps.meta["factor"] == 1.0
  assert not (tmp_path / "r.partial").exists()


def test_bytes_do_not_depend_on_workers_or_on_who_made_the_shards(
    folder, tmp_path
):
  _run(folder, tmp_path / "a", workers=1)
  _run(folder, tmp_path / "b", workers=5)
  assert _run(folder, tmp_path / "c", part=(1, 2)).missing == 2
  assert _run(folder, tmp_path / "c", part=(0, 2)).missing == 0
  assert not (tmp_path / "c").exists()
  outcome = _run(folder, tmp_path / "c", merge=True)
  assert outcome.extracted == 0 and outcome.images == N
  assert _bytes(tmp_path / "a") == _bytes(tmp_path / "b")
  assert _bytes(tmp_path / "a") == _bytes(tmp_path / "c")


def test_a_finished_directory_is_left_as_it_is(folder, tmp_path):
  _run(folder, tmp_path / "r")
  encoder = Means()
  before = os.stat(tmp_path / "r" / "features.npy").st_mtime_ns
  outcome = _run(folder, tmp_path / "r", encoder=encoder)
  assert outcome.images == N and encoder.seen == 0
  assert os.stat(tmp_path / "r" / "features.npy").st_mtime_ns == before
  other = Means(factor=2)
  with pytest.raises(OutputExistsError, match="other settings"):
    _run(folder, tmp_path / "r", encoder=other)
  _run(folder, tmp_path / "r", encoder=other, overwrite=True)
  assert store.open(tmp_path / "r").meta["factor"] == 2


def test_what_was_done_is_not_done_again(folder, tmp_path):
  first = _run(folder, tmp_path / "r", part=(0, 2)).extracted
  encoder = Means()
  assert _run(folder, tmp_path / "r", encoder=encoder).extracted == N - first
  assert encoder.seen == N - first
  _run(folder, tmp_path / "whole")
  assert _bytes(tmp_path / "r") == _bytes(tmp_path / "whole")


def test_shards_of_other_settings_are_not_mixed(folder, tmp_path):
  _run(folder, tmp_path / "r", part=(0, 4))
  for change, name in (
      (dict(encoder=Means(factor=3)), "factor"),
      (dict(dtype="float16"), "dtype"),
  ):
    with pytest.raises(AlignetError, match=f"another extraction .other {name}"):
      _run(folder, tmp_path / "r", **change)
  cv2.imwrite(str(folder / "new.png"), np.zeros((8, 8, 3), np.uint8))
  with pytest.raises(AlignetError, match="other files_sha256, n"):
    _run(folder, tmp_path / "r")
  assert _run(folder, tmp_path / "r", overwrite=True).extracted == N + 1


def test_merge_wants_all_shards(folder, tmp_path):
  for i in (1, 2, 3):
    _run(folder, tmp_path / "r", part=(i, 4))
  with pytest.raises(AlignetError, match="1 of 4 shards .* the first is 0"):
    _run(folder, tmp_path / "r", merge=True)
  for part in ((5, 5), (2, 2), (-1, 1), (0, 0)):
    with pytest.raises(AlignetError, match="expected i of n with 0 <= i < n"):
      _run(folder, tmp_path / "r", part=part)


def _spoil(folder):
  """Seven images, of which three are none; returns the names of these."""
  jpeg = cv2.imencode(".jpg", np.full((40, 40, 3), 90, np.uint8))[1].tobytes()
  (folder / "class0" / "truncated.jpg").write_bytes(jpeg[: len(jpeg) // 2])
  (folder / "class1" / "empty.jpg").write_bytes(b"")
  (folder / "class2" / "text.jpg").write_bytes(b"not an image")
  cv2.imwrite(str(folder / "grey.png"), np.full((9, 9), 7, np.uint8))
  cv2.imwrite(str(folder / "one.png"), np.full((1, 1, 3), 5, np.uint8))
  return {"class0/truncated.jpg", "class1/empty.jpg", "class2/text.jpg"}


def test_an_image_that_cannot_be_decoded_stops_the_run(folder, tmp_path):
  _spoil(folder)
  with pytest.raises(AlignetError, match="class0/truncated.jpg .* truncated;"):
    _run(folder, tmp_path / "r")
  assert not (tmp_path / "r").exists()


def test_or_is_left_out_and_listed(folder, tmp_path):
  bad = _spoil(folder)
  outcome = _run(folder, tmp_path / "r", on_corrupt="skip")
  reps = store.open(tmp_path / "r", verify=True)
  assert set(outcome.skipped) == bad == set(reps.meta["skipped"])
  assert "empty (0 bytes)" in outcome.skipped["class1/empty.jpg"]
  assert len(reps) == N + 2 == outcome.images
  names = reps.filenames.tolist()
  assert not bad & set(names)
  # Grey and tiny images are images like any other.
  np.testing.assert_allclose(reps.features[names.index("grey.png")], 7)
  np.testing.assert_allclose(reps.features[names.index("one.png")], 5)


def test_none_can_be_decoded(tmp_path):
  root = tmp_path / "images"
  root.mkdir()
  (root / "a.png").write_bytes(b"")
  with pytest.raises(AlignetError, match="none of the images"):
    _run(root, tmp_path / "r", on_corrupt="skip")


def test_float16_and_what_does_not_fit_it(folder, tmp_path):
  _run(folder, tmp_path / "a", dtype="float16")
  _run(folder, tmp_path / "b")
  a, b = (store.open(tmp_path / x).features for x in "ab")
  assert a.dtype == np.float16
  np.testing.assert_array_equal(a, b.astype(np.float16))
  big = Means(factor=1e5)
  with pytest.raises(AlignetError, match="class0/00.png .* in float16; use"):
    _run(folder, tmp_path / "c", encoder=big, dtype="float16")
  broken = Means()
  broken.factor = np.inf
  with pytest.raises(AlignetError, match="not finite$"):
    _run(folder, tmp_path / "c", encoder=broken)


def test_a_full_disk_is_said_and_nothing_is_lost(folder, tmp_path, monkeypatch):
  _run(folder, tmp_path / "r", part=(0, 2))
  real = files.write_array

  def full(f, *args):
    raise OSError(errno.ENOSPC, "No space left on device")

  monkeypatch.setattr(files, "write_array", full)
  with pytest.raises(AlignetError, match="no space left"):
    _run(folder, tmp_path / "r")
  assert not (tmp_path / "r").exists()
  monkeypatch.setattr(files, "write_array", real)
  assert _run(folder, tmp_path / "r").images == N
  _run(folder, tmp_path / "whole")
  assert _bytes(tmp_path / "r") == _bytes(tmp_path / "whole")


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(dtype="float64"), "dtype: expected one of float32, float16"),
        (dict(on_corrupt="ignore"), "expected one of error, skip"),
        (dict(shard_size=0), "shard_size: expected at least 1"),
    ],
)
def test_bad_settings(folder, tmp_path, settings, message):
  with pytest.raises(AlignetError, match=message):
    _run(folder, tmp_path / "r", **settings)


_KILLED = """
import sys, time
sys.path.insert(0, sys.argv[3])
from tests.representations import test_to_directory as t
class Slow(t.Means):
  def __call__(self, images):
    time.sleep(0.02)
    return super().__call__(images)
print("ready", flush=True)
t._run(sys.argv[1], sys.argv[2], encoder=Slow())
print("done", flush=True)
"""


def test_killed_runs_end_with_the_same_bytes(folder, tmp_path, request):
  _run(folder, tmp_path / "whole")
  root = str(request.config.rootpath)
  command = [
      *(sys.executable, "-c", _KILLED),
      *(str(folder), str(tmp_path / "r"), root),
  ]
  rng = np.random.default_rng(1)
  for _ in range(3):
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root)
    process.stdout.readline()
    time.sleep(rng.uniform(0, 0.12))
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
  subprocess.run(command, check=True, cwd=root, stdout=subprocess.DEVNULL)
  assert _bytes(tmp_path / "r") == _bytes(tmp_path / "whole")
  assert not (tmp_path / "r.partial").exists()


def test_killed_before_the_shards_were_removed(folder, tmp_path):
  _run(folder, tmp_path / "r")
  (tmp_path / "r.partial").mkdir()
  (tmp_path / "r.partial" / "plan.json").write_text(json.dumps({}))
  assert _run(folder, tmp_path / "r").images == N
  assert not (tmp_path / "r.partial").exists()


def test_mini_imagenet_gives_the_given_features(test_data, tmp_path):
  from alignet.data import tfds_images

  source = tfds_images.TfdsSource(
      "imagenet2012", "train", data_dir=test_data / "tfds"
  )
  for layer in ("feat", "logits"):
    encoder = encoders.open(
        f"onnx:{test_data}/models/efficientnet_lite0.onnx",
        layer=layer,
        size=224,
        pixel_range="-0.9921875,1",
    )
    extract.to_directory(
        source,
        encoder,
        tmp_path / layer,
        concepts=test_data / "things" / "concepts.tsv",
    )
  reps = store.open(tmp_path / "feat", verify=True)
  wanted = np.load(test_data / "features" / "imagenet2012_train_lite0.npy")
  np.testing.assert_allclose(reps.features, wanted, atol=1e-4, rtol=0)
  classes = store.open(tmp_path / "logits").features.argmax(axis=1)
  right = classes == reps.labels["subordinate"].ids
  assert round(float(right.mean()), 3) == 0.813
  assert len(np.unique(reps.labels["concept"].ids)) == 1 + 334


def test_cifar100_gives_the_given_features(test_data, tmp_path):
  from alignet.data import tfds_images

  encoder = encoders.open(
      f"onnx:{test_data}/models/efficientnet_lite0.onnx",
      layer="feat",
      size=112,
      pixel_range="-0.9921875,1",
  )
  extract.to_directory(
      tfds_images.TfdsSource("cifar100", "test", data_dir=test_data / "tfds"),
      encoder,
      tmp_path / "r",
      dtype="float16",
  )
  wanted = np.load(test_data / "features" / "cifar100_test_lite0.npy")
  found = store.open(tmp_path / "r").features
  np.testing.assert_allclose(
      found.astype(np.float32),
      wanted.astype(np.float32),
      rtol=2**-10,
      atol=2**-14,
  )


@pytest.mark.parametrize("merge", [False, True])
def test_a_damaged_shard_heals_or_is_named(folder, tmp_path, merge):
  _run(folder, tmp_path / "whole")
  for i in range(4):
    _run(folder, tmp_path / "r", part=(i, 4))
  shard = sorted((tmp_path / "r.partial").glob("shard-*.npz"))[1]
  content = bytearray(shard.read_bytes())
  content[len(content) // 3] ^= 1
  shard.write_bytes(content)
  if merge:
    with pytest.raises(AlignetError, match="1 of 4 shards .* the first is 1"):
      _run(folder, tmp_path / "r", merge=True)
  encoder = Means()
  _run(folder, tmp_path / "r", encoder=encoder)
  assert 0 < encoder.seen < N
  assert _bytes(tmp_path / "r") == _bytes(tmp_path / "whole")
