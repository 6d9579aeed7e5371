"""The embedding with its uncertainty: checked, saved, loaded."""

from collections.abc import Mapping
import dataclasses
from typing import Any

from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import json_files
import numpy as np

_KEYS = ("mu", "sigma")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Embedding:
  """A Gaussian for each object and dimension; concepts are max(x, 0) of it.

  Attributes:
    mu: (n, k) float32 means; negative where an object lacks a dimension.
    sigma: (n, k) float32 standard deviations, positive.
    meta: JSON-serialisable report of how the embedding came about.
  """

  mu: np.ndarray
  sigma: np.ndarray
  meta: Mapping[str, Any] = dataclasses.field(default_factory=dict)

  def __post_init__(self):
    mu = files.check_array(self.mu, "mu", shape=(None, None), kinds="f")
    sigma = files.check_array(self.sigma, "sigma", shape=mu.shape, kinds="f")
    if not mu.size:
      raise AlignetError(
          "mu: expected at least one object and one dimension, found shape"
          f" {mu.shape}"
      )
    for name, array in (("mu", mu), ("sigma", sigma)):
      array = array.astype(np.float32, copy=False)
      files.check_finite(array, name)
      object.__setattr__(self, name, array)
    good = (self.sigma > 0).all(axis=1)
    if not good.all():
      row = int(np.argmin(good))
      raise AlignetError(
          f"sigma: row {row} holds {self.sigma[row].min()}; expected positive"
          " standard deviations"
      )

  @property
  def point(self) -> np.ndarray:
    """(n, k) float32 max(mu, 0), the embedding without its uncertainty."""
    return np.maximum(self.mu, 0)


def save(
    path: files.Path, embedding: Embedding, *, overwrite: bool = False
) -> None:
  """Writes mu (n, k), sigma (n, k) and a meta string.

  Raises:
    OutputExistsError: the file exists and `overwrite` is false.
  """
  files.save_npz(
      path,
      {
          **{key: getattr(embedding, key) for key in _KEYS},
          "meta": json_files.array(embedding.meta),
      },
      overwrite=overwrite,
  )


def load(path: files.Path) -> Embedding:
  """Reads an embedding; one without a meta string will do.

  Raises:
    AlignetError: missing, truncated, a key absent, shapes that differ, a NaN,
      a sigma that is not positive, a meta string that is no JSON object.
  """
  arrays = files.load_npz(path, required=_KEYS, optional=("meta",))
  meta = {}
  if "meta" in arrays:
    meta = json_files.parse_array(arrays["meta"], f"meta in {path}")
  try:
    return Embedding(**{key: arrays[key] for key in _KEYS}, meta=meta)
  except AlignetError as e:
    raise AlignetError(f"{path} holds no valid embedding: {e}") from e
