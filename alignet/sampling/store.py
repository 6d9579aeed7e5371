"""triplets.npz: sampled triplets, unordered until answered, and how they came.

Keys: `indices` (n, 3) int32 and `meta`, a JSON string.
"""

from collections.abc import Mapping
import hashlib
from typing import Any

from alignet import files
from alignet import npz_stream
from alignet import progress
from alignet import triplets
from alignet.errors import AlignetError
from alignet.sampling import rules
from alignet.sampling.plans import plan as make_plan
import numpy as np

_KEYS = ("indices", "meta")


def write(
    path: files.Path,
    labels: np.ndarray,
    strategy: str,
    n: int,
    *,
    seed: int,
    law: rules.Law = "groups",
    exclude: np.ndarray | None = None,
    meta: Mapping[str, Any] | None = None,
    block: int = 2**18,
    overwrite: bool = False,
) -> dict[str, Any]:
  """Samples n triplets straight into a file.

  Args:
    path: triplets.npz to write.
    labels: (n_images,) integers, the group of each image; -1 excludes one.
    strategy: one of `alignet.sampling.NAMES`.
    n: number of triplets.
    seed: from 0 to 2^128 - 1.
    law: "groups" or "images", see `plan`.
    exclude: numbers of images to leave out.
    meta: what else to record, such as hashes of input files.
    block: triplets in memory at a time; the file does not depend on it.
    overwrite: replace an existing file.

  Returns:
    The file's meta.

  Raises:
    OutputExistsError: the output exists.
    AlignetError: see `plan`.
  """
  files.check_output(path, overwrite=overwrite)
  if n < 1:
    raise AlignetError(f"n: expected a positive number of triplets, found {n}")
  plan = make_plan(labels, strategy, law=law, exclude=exclude)
  plan.rows(seed, 0, 1)  # Refuses a bad seed before a file is begun.
  meta = {
      **(meta or {}),
      **plan.meta(),
      "n": n,
      "seed": seed,
      "labels_sha256": _digest(labels),
      "exclude_sha256": None if exclude is None else _digest(exclude),
      "versions": files.versions(),
  }
  meta_array = files.json_array(meta)

  def blocks():
    with progress.bar(desc=strategy, total=n, unit="triplet") as bar:
      for start in range(0, n, block):
        rows = plan.rows(seed, start, min(start + block, n))
        yield rows
        bar.update(len(rows))

  with npz_stream.writer(path, overwrite=overwrite) as write_member:
    write_member("indices", (n, 3), np.dtype(np.int32), blocks())
    write_member("meta", (), meta_array.dtype, [meta_array])
  return meta


def read(path: files.Path) -> tuple[np.ndarray, dict[str, Any]]:
  """Reads and checks a triplets.npz.

  Returns:
    (n, 3) int32 indices and the meta.

  Raises:
    AlignetError: missing or damaged file, a row that is no triplet.
  """
  arrays = files.load_npz(path, required=_KEYS)
  meta = files.parse_json_array(arrays["meta"], f"meta in {path}")
  n_images = meta.get("n_images")
  if not isinstance(n_images, int):
    n_images = np.iinfo(np.int32).max
  indices = triplets.check(
      arrays["indices"], n_images, what=f"indices in {path}"
  )
  return indices.astype(np.int32, copy=False), meta


def _digest(numbers: np.ndarray) -> str:
  """Hexadecimal sha256 of integers, whatever their dtype."""
  return hashlib.sha256(np.asarray(numbers, "<i8").tobytes()).hexdigest()
