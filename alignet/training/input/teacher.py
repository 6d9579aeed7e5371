"""The teacher itself, for trainings that take it instead of its answers."""

import dataclasses
import functools
import pathlib

from alignet import transforms
from alignet.data import images as images_lib
from alignet.data import tfds_images
from alignet.errors import AlignetError
from alignet.io import identities
from alignet.representations import kmeans
from alignet.representations import store as store_lib
import numpy as np

_IN_MEMORY = 2**28


@dataclasses.dataclass(frozen=True, kw_only=True)
class Teacher:
  """Aligned representations of images, by number.

  The transform is applied once to all images, or, where the result would not
  fit 256 MiB, which each worker holds, to the rows that are asked for: one
  matrix product beside decoding and encoding that many images.

  Attributes:
    representations: folder of the representations.
    transform: transform.npz; "" for the representations as they are.
    columns: "as_given" for a transform that does not say of which network it
      is.
  """

  representations: str
  transform: str = ""
  columns: str = ""

  def __len__(self) -> int:
    return len(self._representations)

  def __call__(self, rows: np.ndarray) -> np.ndarray:
    """[*rows, d] float32 of an integer array of any shape."""
    z = self._aligned
    if z is None:
      x = np.asarray(self._representations.features[rows.ravel()])
      return self._transform(x).reshape(*rows.shape, -1)
    return np.asarray(z[rows], np.float32)

  def __getstate__(self) -> dict[str, str]:
    """What a worker is sent: a memory map would be sent as its content."""
    return dataclasses.asdict(self)

  def known(self, store: images_lib.Images) -> images_lib.Images:
    """The images, which must be those that are represented.

    Raises:
      AlignetError: another number of images, or other names.
    """
    names = self._representations.filenames
    if len(store) != len(names):
      raise AlignetError(
          f"{self.representations} is of {len(names)} images, but there are"
          f" {len(store)} images; give those it was extracted from"
      )
    if isinstance(store, tfds_images.TfdsImages):
      # To list their names would read them all: each is checked when read.
      given = store.names or str(
          pathlib.Path(self.representations) / store_lib.FILENAMES
      )
      return dataclasses.replace(store, names=given)
    if (wrong := np.flatnonzero(store.filenames != names)).size:
      row = int(wrong[0])
      raise AlignetError(
          f"{self.representations}: row {row} is of {str(names[row])!r}, but"
          f" that image is called {str(store.filenames[row])!r}; give the"
          " images it was extracted from"
      )
    return store

  @functools.cached_property
  def _aligned(self) -> np.ndarray | None:
    """The representations of all images, None where too large."""
    features = self._representations.features
    if self._transform is None:
      return features
    size = 4 * len(features) * self._transform.weights.shape[1]
    return self._transform(features) if size <= _IN_MEMORY else None

  def groups(self, clusters: str, trust: identities.Trust) -> np.ndarray:
    """(n,) cluster of each image, of a file of these images' clusters."""
    return kmeans.load_for(clusters, self._representations, trust)

  @functools.cached_property
  def _representations(self) -> store_lib.Representations:
    return store_lib.open(self.representations)

  @functools.cached_property
  def _transform(self) -> transforms.Transform | None:
    return transforms.load_for(
        self.transform,
        self.representations,
        self._representations.columns,
        identities.Trust(columns=self.columns),
    )
