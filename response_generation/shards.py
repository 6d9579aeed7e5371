"""Blocks of rows computed one by one, kept on disk until all are there.

A shard is an npz with `similarities` (m, 3) float32 and the `fingerprint` of
what it was computed from. It is written whole or not at all, so a run that is
killed loses only the shard it was working on, and a shard of other inputs is
never taken for one of these. Several processes may compute shards of one
folder at a time.
"""

from collections.abc import Iterator
import contextlib
import dataclasses
import fcntl
import pathlib
import shutil

from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import json_files
from alignet.io import npz_stream
import numpy as np

_KEYS = ("similarities", "fingerprint")
_FINGERPRINT = "fingerprint.json"
_LOCK = "lock"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shards:
  """The shards of one result.

  Attributes:
    folder: where they are kept.
    n: number of rows altogether.
    rows: rows of a shard.
    fingerprint: of everything that the rows and `rows` depend on.
  """

  folder: pathlib.Path
  n: int
  rows: int
  fingerprint: str

  @property
  def count(self) -> int:
    """Number of shards."""
    return -(-self.n // self.rows)

  def where(self, number: int) -> slice:
    """Rows of a shard."""
    start = number * self.rows
    return slice(start, min(start + self.rows, self.n))

  @contextlib.contextmanager
  def prepared(self) -> Iterator[None]:
    """Makes the folder, or empties one of another fingerprint.

    Other processes that prepare the same folder wait until the block is left:
    what all of them need is made by one.
    """
    self.folder.mkdir(parents=True, exist_ok=True)
    with open(self.folder / _LOCK, "w") as f:
      fcntl.flock(f, fcntl.LOCK_EX)
      try:
        found = json_files.read(self.folder / _FINGERPRINT, str)
      except AlignetError:
        found = None
      if found != self.fingerprint:
        for old in self.folder.iterdir():
          if old.is_dir():
            shutil.rmtree(old)
          elif old.name != _LOCK:
            old.unlink()
        json_files.write(self.folder / _FINGERPRINT, self.fingerprint)
      yield

  def has(self, number: int) -> bool:
    """Whether a shard of these inputs is there, by what its head says.

    Damage of the numbers themselves shows when shards are joined.
    """
    path = self._path(number)
    if not path.exists():
      return False
    try:
      with files.open_npz(path, required=_KEYS) as archive:
        fingerprint = files.read_member(archive, "fingerprint", path)
        shape, _ = npz_stream.header(archive, "similarities", path)
    except AlignetError:
      return False
    where = self.where(number)
    rows = where.stop - where.start
    return str(fingerprint) == self.fingerprint and shape == (rows, 3)

  def save(self, number: int, similarities: np.ndarray) -> None:
    """Keeps a shard."""
    files.save_npz(
        self._path(number),
        {
            "similarities": np.asarray(similarities, np.float32),
            "fingerprint": np.array(self.fingerprint),
        },
        overwrite=True,
    )

  def join(self, *, divide_by: float = 1.0) -> np.ndarray:
    """All rows, shard after shard, as a memory map of a file in the folder.

    Args:
      divide_by: what each similarity is divided by.

    Returns:
      (n, 3) float32, read-only.

    Raises:
      AlignetError: a shard is missing or damaged.
    """
    path = self.folder / f"joined-{divide_by!r}.npy"
    blocks = (
        self._complete(i) / np.float32(divide_by) for i in range(self.count)
    )
    files.save_npy(
        path,
        files.Blocks((self.n, 3), np.dtype(np.float32), blocks),
        overwrite=True,
    )
    return files.load_npy(path, mmap=True)

  def _complete(self, number: int) -> np.ndarray:
    path = self._path(number)
    if self.has(number):
      try:
        return files.load_npz(path, required=_KEYS)["similarities"]
      except AlignetError:
        path.unlink()  # `has` would take it for a good one again.
    raise AlignetError(
        f"{path} is missing or damaged; run the same command again, it computes"
        " what is missing"
    )

  def _path(self, number: int) -> pathlib.Path:
    return self.folder / f"{number * self.rows:012d}.npz"
