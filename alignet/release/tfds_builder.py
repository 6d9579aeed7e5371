"""A release as a TFDS dataset.

  import tensorflow_datasets as tfds
  import alignet.release.tfds_builder

  ds = tfds.load("alignet_triplets", split="train",
                 builder_kwargs=dict(release="DIR"))

An example is a row: `filenames` (3,), `similarities` (3,) float32, `indices`
(3,) int64. The main set is the default; `transform` and `sampling` (and
`source`, where a release has several) in `builder_kwargs` choose another. The
random access that `tfds.data_source` needs:
`builder_kwargs=dict(release="DIR", file_format="array_record")`.
"""

from collections.abc import Iterator
import pathlib
from typing import Any

from alignet.errors import AlignetError
from alignet.io import files
from alignet.release import manifest as manifest_lib
from alignet.triplets import npz
import numpy as np
import tensorflow_datasets as tfds

_ROWS = 65536
_SPLITS = {"train": "train", "val": "validation"}


class AlignetTriplets(tfds.core.GeneratorBasedBuilder):
  """Triplets of a release, as rows of one transform and sampling."""

  VERSION = tfds.core.Version("1.0.0")

  def __init__(
      self,
      *,
      release: files.Path,
      transform: str | None = None,
      sampling: str | None = None,
      source: str | None = None,
      **kwargs: Any,
  ):
    self._release = pathlib.Path(release).absolute()
    manifest = manifest_lib.read(self._release)
    wanted = {"transform": transform, "sampling": sampling, "source": source}
    # The main set stands first.
    main = manifest["files"][0]
    self._wanted = {k: v or main[k] for k, v in wanted.items()}
    self._entries = {}
    for entry in manifest["files"]:
      if self._wanted.items() <= entry.items():
        self._entries[_SPLITS[entry["split"]]] = entry
    if not self._entries:
      there = sorted(
          {f"{e['transform']}/{e['sampling']}" for e in manifest["files"]}
      )
      raise AlignetError(
          f"{self._release} has no {self._wanted['transform']}/"
          f"{self._wanted['sampling']}; found {', '.join(there)}"
      )
    self._card = manifest["card"]
    version = self._card["version"]
    # What TFDS has prepared is found again by name, which no two may share.
    digest = files.sha256(self._release / manifest_lib.MANIFEST)[:8]
    name = "-".join([*self._wanted.values(), digest])
    kwargs["config"] = tfds.core.BuilderConfig(name=name, version=version)
    super().__init__(**kwargs)

  def _info(self) -> tfds.core.DatasetInfo:
    return self.dataset_info_from_configs(
        description=f"{self._card['name']}, {self._card['provider']}",
        features=tfds.features.FeaturesDict(
            {
                "filenames": tfds.features.Sequence(
                    tfds.features.Text(), length=3
                ),
                "similarities": tfds.features.Tensor(
                    shape=(3,), dtype=np.float32
                ),
                "indices": tfds.features.Tensor(shape=(3,), dtype=np.int64),
            }
        ),
        homepage=self._card["url"],
        license=self._card["licence"],
        disable_shuffling=True,
    )

  def _split_generators(self, dl_manager):
    del dl_manager
    return {
        split: self._generate_examples(self._release / entry["path"])
        for split, entry in self._entries.items()
    }

  def _generate_examples(
      self, path: pathlib.Path
  ) -> Iterator[tuple[int, dict[str, Any]]]:
    opened = npz.open(path)
    start = 0
    for names in opened.filename_blocks(_ROWS):
      for i, row in enumerate(names):
        yield start + i, {
            "filenames": row.tolist(),
            "similarities": opened.similarities[start + i],
            "indices": opened.indices[start + i].astype(np.int64),
        }
      start += len(names)
