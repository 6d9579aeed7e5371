"""Blocks of rows computed one by one, kept on disk until all are there.

A shard is an npz with `similarities` (m, 3) float32 and the `fingerprint` of
what it was computed from. It is written whole or not at all, so a run that is
killed loses only the shards it was working on, and a shard of other inputs is
never taken for one of these.
"""

from collections.abc import Callable
import pathlib
import shutil

from alignet import files
from alignet import progress
from alignet.errors import AlignetError
from alignet.representations import blocks
import numpy as np

_FINGERPRINT = "fingerprint.json"


def prepare(folder: pathlib.Path, fingerprint: str) -> None:
  """Makes the folder; one that belongs to another fingerprint is emptied."""
  try:
    found = files.read_json(folder / _FINGERPRINT)
  except AlignetError:
    found = None
  if found == fingerprint:
    return
  if folder.exists():
    shutil.rmtree(folder)
  files.write_json(folder / _FINGERPRINT, fingerprint)


def compute(
    folder: pathlib.Path,
    n: int,
    function: Callable[[slice], np.ndarray],
    *,
    rows: int,
    fingerprint: str,
    workers: int | None = None,
) -> np.ndarray:
  """Computes the shards that are missing and joins all of them.

  Args:
    folder: where shards are kept, made by `prepare`.
    n: number of rows altogether.
    function: rows as a slice -> their (m, 3) similarities.
    rows: rows of a shard.
    fingerprint: of everything that `function` and `rows` depend on.
    workers: shards computed at a time, all available cores if None.

  Returns:
    (n, 3) float32 similarities.
  """
  out = np.empty((n, 3), np.float32)

  def one(start):
    where = slice(start, min(start + rows, n))
    path = folder / f"{start:012d}.npz"
    shard = _read(path, where.stop - start, fingerprint)
    if shard is None:
      shard = np.asarray(function(where), np.float32)
      files.save_npz(
          path,
          {"similarities": shard, "fingerprint": np.array(fingerprint)},
          overwrite=True,
      )
    out[where] = shard
    return len(shard)

  with progress.bar(desc="responses", total=n, unit="triplet") as bar:
    for m in blocks.ordered_map(one, range(0, n, rows), workers=workers):
      bar.update(m)
  return out


def _read(path: pathlib.Path, m: int, fingerprint: str) -> np.ndarray | None:
  """A complete shard of these inputs, or None."""
  if not path.exists():
    return None
  try:
    shard = files.load_npz(path, required=("similarities", "fingerprint"))
  except AlignetError:
    return None
  if str(shard["fingerprint"]) != fingerprint:
    return None
  similarities = shard["similarities"]
  return similarities if similarities.shape == (m, 3) else None
