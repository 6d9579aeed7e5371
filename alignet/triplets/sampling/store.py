"""triplets.npz: sampled triplets, unordered until answered, and how they came.

Keys: `indices` (n, 3) int32 and `meta`, a JSON string.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
import functools
import hashlib
from typing import Any

from alignet import errors
from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import identities
from alignet.io import json_files
from alignet.io import npz_stream
from alignet.io import progress
from alignet.triplets import layout
from alignet.triplets.sampling import distinct as distinct_lib
from alignet.triplets.sampling import rules
from alignet.triplets.sampling.plans import Plan
from alignet.triplets.sampling.plans import plan as make_plan
import numpy as np

_KEYS = ("indices", "meta")


def write(
    path: files.Path,
    labels: np.ndarray,
    strategy: str | rules.Rule,
    n: int,
    *,
    seed: int,
    law: rules.Law = "groups",
    exclude: np.ndarray | None = None,
    distinct: bool = False,
    disjoint_from: Sequence[files.Path] = (),
    rows: identities.Rows | None = None,
    trust: identities.Trust = identities.NOTHING,
    meta: Mapping[str, Any] | None = None,
    block: int = 2**18,
    overwrite: bool = False,
) -> dict[str, Any]:
  """Samples n triplets straight into a file, in bounded memory.

  Args:
    path: triplets.npz to write.
    labels: (n_images,) integers, the group of each image; -1 excludes one.
    strategy: see `plan`.
    n: number of triplets.
    seed: from 0 to 2^128 - 1.
    law: "groups" or "images", see `plan`.
    exclude: numbers of images to leave out.
    distinct: leave out rows whose three images an earlier row has: the n rows
      are then the first that differ. Needs the memory that
      `alignet.triplets.sampling.distinct` says.
    disjoint_from: other triplets.npz over the same images; their triplets are
      left out too, whatever their order. Implies `distinct`.
    rows: which images are numbered, where that is known.
    trust: what the user vouches for where a file does not say it.
    meta: what else to record, such as hashes of input files.
    block: triplets in memory at a time; the file does not depend on it.
    overwrite: replace an existing file.

  Returns:
    The file's meta.

  Raises:
    OutputExistsError: the output exists.
    AlignetError: see `plan`; fewer than n distinct triplets.
  """
  files.check_output(path, overwrite=overwrite)
  errors.check_least(1, n=n)
  plan = make_plan(labels, strategy, law=law, exclude=exclude)
  plan.rows(seed, 0, 1)  # Refuses a bad seed before a file is begun.
  others = [
      _other(other, plan.n_labels, rows, trust, path) for other in disjoint_from
  ]
  kept = None
  if distinct or others:
    kept = distinct_lib.candidates(plan, n, seed=seed, avoid=others)
  drawn = n if kept is None else _length(kept)
  meta = {
      **(meta or {}),
      **plan.meta(),
      "rows": rows,
      "trusted": trust.meta(),
      "n": n,
      "seed": seed,
      "distinct": kept is not None,
      "n_rows_skipped": drawn - n,
      "disjoint_from_sha256": [files.sha256(x) for x in disjoint_from],
      "labels_sha256": _digest(labels),
      "exclude_sha256": None if exclude is None else _digest(exclude),
      "versions": files.versions(),
  }
  meta_array = json_files.array(meta)
  block = -(-block // 8) * 8  # Whole bytes of `kept`.
  blocks = progress.bar(
      _blocks(plan, seed, drawn, kept, block),
      desc=plan.strategy.name,
      total=-(-drawn // block),
      unit="block",
  )
  with npz_stream.writer(path, overwrite=overwrite) as write_member:
    write_member("indices", (n, 3), np.dtype(np.int32), blocks)
    write_member("meta", (), meta_array.dtype, [meta_array])
  return meta


def read(path: files.Path) -> tuple[np.ndarray, dict[str, Any]]:
  """Reads and checks a triplets.npz.

  Returns:
    (n, 3) int32 indices, a read-only memory map where the file allows, and the
    meta.

  Raises:
    AlignetError: missing or damaged file, a row that is no triplet.
  """
  with files.open_npz(path, required=_KEYS) as archive:
    meta = json_files.parse_array(
        files.read_member(archive, "meta", path), f"meta in {path}"
    )
    indices = npz_stream.mapped(path, "indices")
    if indices is None or indices.dtype != np.int32:
      indices = files.read_member(archive, "indices", path)
  n_images = meta.get("n_images")
  if not isinstance(n_images, int):
    n_images = np.iinfo(np.int32).max
  indices = layout.check(indices, n_images, what=f"indices in {path}")
  return indices.astype(np.int32, copy=False), meta


def _blocks(
    plan: Plan, seed: int, drawn: int, kept: np.ndarray | None, block: int
) -> Iterator[Callable[[], np.ndarray]]:
  """Functions that draw consecutive blocks of rows."""

  def draw(start: int) -> np.ndarray:
    stop = min(start + block, drawn)
    rows = plan.rows(seed, start, stop, workers=1)
    if kept is None:
      return rows
    bits = np.unpackbits(kept[start // 8 : -(-stop // 8)], bitorder="little")
    return rows[bits[: stop - start].astype(bool)]

  for start in range(0, drawn, block):
    yield functools.partial(draw, start)


def _length(kept: np.ndarray) -> int:
  """Number of rows up to the last that is kept."""
  return 8 * (len(kept) - 1) + int(kept[-1]).bit_length()


def _other(path, n_images, rows, trust, out) -> np.ndarray:
  """Triplets to leave out."""
  indices, meta = read(path)
  trust.check_rows(path, meta.get("rows"), out, rows)
  if meta.get("n_images", n_images) != n_images:
    raise AlignetError(
        f"{path} was sampled over {meta['n_images']} images, these labels are"
        f" of {n_images}; triplets are compared by image number"
    )
  return indices


def _digest(numbers: np.ndarray) -> str:
  """Hexadecimal sha256 of integers, whatever their dtype."""
  return hashlib.sha256(np.asarray(numbers, "<i8").tobytes()).hexdigest()
