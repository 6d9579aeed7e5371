"""Evaluation trials: triplets of images with the observers' similarities.

A set of trials is a file of AligNet's own format whose similarities are those
of the (human or simulated) observers: softmax of a row gives the probabilities
of their choices. A folder holds one file a set.
"""

from collections.abc import Callable, Mapping
import dataclasses
import pathlib

from alignet import files
from alignet import similarity
from alignet.errors import AlignetError
import numpy as np

MARGIN = 0.05
"""Trials whose two likeliest pairs differ by less are left out and counted."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trials:
  """One set of trials in canonical order, the observers' likeliest pair first.

  Attributes:
    indices: (n, 3) int32 images.
    probabilities: (n, 3) float64 observers' choice probabilities
      [p01, p02, p12].
  """

  indices: np.ndarray
  probabilities: np.ndarray


def make(
    draw: Callable[[int, int], np.ndarray],
    concepts: np.ndarray,
    embedding: np.ndarray,
    *,
    n: int,
    margin: float = MARGIN,
    block: int = 8192,
) -> tuple[np.ndarray, np.ndarray, int]:
  """Draws triplets until n of them have a clear answer.

  Args:
    draw: (start, stop) -> (stop - start, 3) images, rows of a sampler.
    concepts: (images,) concept of each image.
    embedding: (concepts, dims) whose dot products are the observers'
      similarities in logits.
    n: number of trials to keep.
    margin: smallest difference of the two largest choice probabilities.
    block: triplets drawn at a time.

  Returns:
    (n, 3) images, (n, 3) similarities, and how many triplets were left out for
    want of a clear answer before the n-th was found.

  Raises:
    AlignetError: fewer than one triplet in a hundred has a clear answer.
  """
  gram = similarity.matrix(embedding.astype(np.float64))
  kept, logits, found, drawn = [], [], 0, 0
  while found < n:
    if drawn > 100 * n + block:
      raise AlignetError(
          f"only {found} of {drawn} triplets have two likeliest pairs that"
          f" differ by {margin}; lower the margin or choose other concepts"
      )
    rows = draw(drawn, drawn + block)
    i, j, k = concepts[rows].T
    s = np.stack([gram[i, j], gram[i, k], gram[j, k]], axis=1)
    p = np.sort(similarity.choice_probabilities(s), axis=1)
    clear = np.flatnonzero(p[:, 2] - p[:, 1] >= margin)
    # Count the unclear ones up to the last trial that is needed, and no more.
    if found + len(clear) >= n:
      clear = clear[: n - found]
      drawn += int(clear[-1]) + 1
    else:
      drawn += block
    found += len(clear)
    kept.append(rows[clear])
    logits.append(s[clear])
  return np.concatenate(kept), np.concatenate(logits), drawn - n


def read(path: files.Path) -> Trials:
  """Reads one set of trials."""
  with files.open_npz(path, required=("indices", "similarities")) as archive:
    indices = files.read_member(archive, "indices", path)
    similarities = files.read_member(archive, "similarities", path)
  files.check_finite(similarities, f"similarities in {path}")
  return Trials(
      indices=indices,
      probabilities=similarity.choice_probabilities(
          similarities.astype(np.float64)
      ),
  )


def read_folder(folder: files.Path) -> Mapping[str, Trials]:
  """Reads all sets of a folder: {set name: trials}, sorted by name."""
  paths = sorted(pathlib.Path(folder).glob("*.npz"))
  if not paths:
    raise AlignetError(f"{folder} holds no set of trials (*.npz)")
  return {path.stem: read(path) for path in paths}
