"""A release as Croissant and as TFDS read it."""

import logging
import shutil

from alignet.errors import AlignetError
from alignet.triplets import npz
import numpy as np
import pytest

_BUILDER = "alignet_triplets"


def test_croissant_validates_and_loads(released, caplog):
  mlc = pytest.importorskip("mlcroissant")
  with caplog.at_level(logging.WARNING):
    dataset = mlc.Dataset(jsonld=released / "croissant.json")
  issues = dataset.metadata.ctx.issues
  assert not issues.errors and not issues.warnings
  assert not caplog.records
  opened = npz.open(released / "alignet_valid.npz")
  records = list(dataset.records("valid"))
  assert len(records) == len(opened)
  for i, record in enumerate(records):
    s = [record[f"valid/s{p}"] for p in ("01", "02", "12")]
    np.testing.assert_array_equal(np.float32(s), opened.similarities[i])
    names = [record[f"valid/filename{j}"].decode() for j in range(3)]
    assert names == list(opened.filenames[i])
    assert [record[f"valid/index{j}"] for j in range(3)] == list(
        opened.indices[i]
    )
  assert len(list(dataset.records("images"))) == 60
  assert len(list(dataset.records("train"))) == 100


def test_croissant_lists_every_file_with_its_checksum(released):
  mlc = pytest.importorskip("mlcroissant")
  dataset = mlc.Dataset(jsonld=released / "croissant.json")
  listed = {f.content_url: f.sha256 for f in dataset.metadata.distribution}
  sums = dict(
      line.split("  ")[::-1]
      for line in (released / "SHA256SUMS").read_text().splitlines()
  )
  del sums["croissant.json"]  # It cannot hold its own.
  assert listed == sums


@pytest.fixture(scope="module")
def tfds():
  from alignet.release import tfds_builder  # pylint: disable=g-import-not-at-top
  import tensorflow_datasets as tfds  # pylint: disable=g-import-not-at-top

  del tfds_builder
  return tfds


def _check(records, path):
  opened = npz.open(path)
  assert len(records) == len(opened)
  for i, record in enumerate(records):
    names = [name.decode() for name in record["filenames"]]
    assert names == list(opened.filenames[i])
    np.testing.assert_array_equal(
        record["similarities"], opened.similarities[i]
    )
    np.testing.assert_array_equal(record["indices"], opened.indices[i])


def test_tfds_records_equal_rows(released, tfds, tmp_path):
  dataset = tfds.load(
      _BUILDER,
      data_dir=tmp_path,
      builder_kwargs={"release": released},
  )
  assert set(dataset) == {"train", "validation"}
  for split, name in (("train", "train"), ("validation", "valid")):
    records = list(tfds.as_numpy(dataset[split]))
    _check(records, released / f"alignet_{name}.npz")


def test_tfds_random_access_to_another_set(released, tfds, tmp_path):
  builder = tfds.builder(
      _BUILDER,
      data_dir=tmp_path,
      file_format="array_record",
      release=released,
      transform="untransformed",
      sampling="within_class",
  )
  builder.download_and_prepare()
  source = builder.as_data_source("validation")
  _check(
      [source[i] for i in range(len(source))],
      released / "untransformed/val_within_class.npz",
  )


def test_tfds_names_what_there_is(released, tfds, tmp_path):
  with pytest.raises(AlignetError, match="found .*untransformed/within_class"):
    tfds.builder(
        _BUILDER, data_dir=tmp_path, release=released, transform="nothing"
    )


def test_tfds_keeps_two_releases_apart(released, tfds, tmp_path):
  other = shutil.copytree(released, tmp_path / "other")
  manifest = other / "release.json"
  manifest.write_text(manifest.read_text() + "\n")
  names = {
      tfds.builder(_BUILDER, data_dir=tmp_path, release=r).builder_config.name
      for r in (released, released, other)
  }
  assert len(names) == 2
