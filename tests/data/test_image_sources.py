from alignet.data import image_sources
from alignet.data import images
from alignet.data import tfds_images
from alignet.data.labels import Labels
from alignet.errors import AlignetError
from alignet.training.input import batches
import numpy as np
import pytest


@pytest.fixture
def store():
  n = 12
  return images.ImageStore(
      images=np.arange(n * 4 * 4 * 3).reshape(n, 4, 4, 3).astype(np.uint8),
      filenames=np.array([f"{(7 * i) % n:02d}.png" for i in range(n)]),
      labels={
          "subordinate": Labels(
              ids=np.array([0, 1, 2, -1] * 3), names=np.array(["a", "b", "c"])
          )
      },
      meta={"made": "here"},
  )


def test_a_store_is_a_source(store, tmp_path):
  images.write(tmp_path / "s", store)
  source = image_sources.open(f"images:{tmp_path / 's'}")
  again = image_sources.read(source)
  np.testing.assert_array_equal(again.images, store.images)
  np.testing.assert_array_equal(again.filenames, store.filenames)
  np.testing.assert_array_equal(
      again.labels["subordinate"].ids, store.labels["subordinate"].ids
  )
  assert source.meta["images"] == {"made": "here"}


def test_first_of_each_class_by_name(store):
  rows = image_sources.per_class(store, "subordinate", 2)
  kept = images.take(store, rows)
  for number in range(3):
    names = store.filenames[store.labels["subordinate"].ids == number]
    found = kept.filenames[kept.labels["subordinate"].ids == number]
    assert sorted(found) == sorted(names)[:2]
  assert len(kept) == 6 and (np.diff(rows) > 0).all()
  np.testing.assert_array_equal(kept.images, store.images[rows])


@pytest.mark.parametrize(
    "level, n, message",
    [
        ("subordinate", 4, "class a has 3 images; expected at least 4"),
        ("basic", 1, "no labels of level 'basic'"),
    ],
)
def test_too_few(store, level, n, message):
  with pytest.raises(AlignetError, match=message):
    image_sources.per_class(store, level, n)


@pytest.mark.parametrize(
    "spec",
    [
        *("imagenet2012", "tfds:imagenet2012", "folder:", "zip:a", ""),
        *("tfds::train", "tfds:cifar100:", "tfds:cifar100:test[:3"),
    ],
)
def test_unknown_source(spec):
  with pytest.raises(AlignetError, match="source: expected tfds:NAME:SPLIT"):
    image_sources.open(spec)


@pytest.mark.parametrize(
    "name", ["cifar100", "imagenet2012:5.1.0", "a/config:1.0.0"]
)
@pytest.mark.parametrize(
    "split", ["test", "test[:300]", "train[:10%]+test[50:]", "train[1:2]"]
)
def test_names_and_splits_of_tfds(name, split, monkeypatch):
  """Here and for batches decoded on the fly."""
  opened = []
  for kind in ("TfdsSource", "TfdsImages"):
    monkeypatch.setattr(
        *(tfds_images, kind),
        lambda *args, **more: opened.append(
            args or (more["name"], more["split"])
        ),
    )
  spec = f"tfds:{name}:{split}"
  image_sources.open(spec)
  triplets = batches.TripletBatches(
      path="x.npz", images=spec, batch_size=1, part=(0, 1)
  )
  _ = triplets.store
  assert opened == [(name, split)] * 2
