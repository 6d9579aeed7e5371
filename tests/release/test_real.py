"""The mini ImageNet release of real representations, from its config."""

from alignet import transforms
from alignet.cli import main
from alignet.data import labels as labels_lib
from alignet.representations import store
from alignet.triplets import npz
import numpy as np
import pytest
from tests.release import conftest


def test_mini_imagenet(test_data, tmp_path):
  tfds = pytest.importorskip("tensorflow_datasets")
  features = np.load(test_data / "features/imagenet2012_train_lite0.npy")
  # Numbers, names and labels without decoding a picture.
  decoders = {"image": tfds.decode.SkipDecoding()}
  source = tfds.data_source(
      "imagenet2012",
      split="train",
      data_dir=test_data / "tfds",
      decoders=decoders,
  )
  examples = [source[i] for i in range(len(source))]
  names = np.array([_text(example["file_name"]) for example in examples])
  classes, ids = np.unique(
      [name.partition("_")[0] for name in names], return_inverse=True
  )
  store.write(
      tmp_path / "r",
      features,
      names,
      {
          "subordinate": labels_lib.Labels(
              ids=ids.astype(np.int32), names=classes
          )
      },
      {"model": "lite0", "layer": "feat"},
  )
  rng = np.random.default_rng(0)
  transforms.save(
      tmp_path / "t.npz",
      transforms.Transform(
          weights=rng.normal(size=(1280, 42), scale=0.02).astype(np.float32),
          bias=np.zeros(42, np.float32),
          meta={"columns": {"model": "lite0", "layer": "feat"}},
      ),
  )
  out = tmp_path / "release"
  code = main.main(
      [
          *("release", "--cfg=mini_imagenet", f"--out={out}", "--quiet"),
          f"--cfg.paths.representations={tmp_path / 'r'}",
          f"--cfg.paths.transform={tmp_path / 't.npz'}",
          "--cfg.gallery.images=tfds:imagenet2012:train",
          f"--cfg.gallery.data_dir={test_data / 'tfds'}",
          *(
              f"--cfg.card.{key}={value}"
              for key, value in conftest.CARD.items()
          ),
      ]
  )
  assert code == 0
  assert main.main(["verify", str(out)]) == 0
  assert (out / "gallery.png").stat().st_size > 100_000
  opened = npz.open(out / "untransformed/train_class_border.npz")
  wnids = np.char.partition(opened.filenames, "_")[..., 0]
  assert all(len(set(row)) == 2 for row in wnids.tolist())
  np.testing.assert_array_equal(names[opened.indices], opened.filenames)


def _text(value) -> str:
  return value.decode() if isinstance(value, bytes) else str(value)
