from alignet import files
from alignet.data import images as images_lib
from alignet.data import labels as labels_lib
from alignet.errors import AlignetError
from alignet.representations import given
from alignet.representations import store
import numpy as np
import pytest

_ABOUT = dict(model="net", layer="pooled", source="computed elsewhere")


@pytest.fixture
def images(tmp_path):
  images_lib.write(
      tmp_path / "images",
      images_lib.ImageStore(
          images=np.zeros((4, 2, 2, 3), np.uint8),
          filenames=np.array(list("abcd")),
          labels={"basic": labels_lib.from_strings(list("xyxy"))},
          meta={"source": "made up"},
      ),
  )
  return tmp_path / "images"


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_import(tmp_path, images, dtype):
  features = np.random.default_rng(0).normal(size=(4, 5)).astype(dtype)
  files.save_npy(tmp_path / "f.npy", features)
  given.import_features(
      tmp_path / "out", features=tmp_path / "f.npy", images=images, **_ABOUT
  )
  found = store.open(tmp_path / "out", verify=True)
  np.testing.assert_array_equal(found.features, features)
  assert found.features.dtype == dtype
  assert found.filenames.tolist() == list("abcd")
  assert found.labels["basic"].ids.tolist() == [0, 1, 0, 1]
  assert {k: found.meta[k] for k in _ABOUT} == _ABOUT
  assert found.meta["imported_sha256"] == files.sha256(tmp_path / "f.npy")
  assert found.meta["images"] == {"source": "made up"}


@pytest.mark.parametrize(
    "features, message",
    [
        (np.zeros((3, 5), np.float32), "f.npy has 3 rows, but .* 4 images"),
        (np.zeros((4, 5)), "float32 or float16, found dtype float64"),
        (np.zeros(4, np.float32), "expected shape"),
        (np.full((4, 5), np.nan, np.float32), "row 0 holds a NaN"),
    ],
)
def test_bad_features(tmp_path, images, features, message):
  files.save_npy(tmp_path / "f.npy", features)
  with pytest.raises(AlignetError, match=message):
    given.import_features(
        tmp_path / "out", features=tmp_path / "f.npy", images=images, **_ABOUT
    )
  assert not (tmp_path / "out").exists()


def test_existing_output(tmp_path, images):
  (tmp_path / "out").mkdir()
  with pytest.raises(AlignetError, match="already exists"):
    given.import_features(
        tmp_path / "out", features=tmp_path / "no.npy", images=images, **_ABOUT
    )
