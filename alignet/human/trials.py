"""Evaluation trials: triplets of images with the observers' similarities.

A set of trials is a file of AligNet's own format whose similarities are those
of the (human or simulated) observers: softmax of a row gives the probabilities
of their choices. A folder holds one file a set.
"""

from collections.abc import Callable, Mapping
import dataclasses
import pathlib

from alignet import errors
from alignet.data import images as images_lib
from alignet.errors import AlignetError
from alignet.io import files
from alignet.triplets import layout
from alignet.triplets import npz
from alignet.triplets import similarity
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
    (n, 3) images and (n, 3) float64 similarities [s01, s02, s12] in the order
    drawn (`npz.write` makes it canonical), and how many triplets were
    left out for want of a clear answer before the n-th was found.

  Raises:
    AlignetError: no trial is asked for, or fewer than one triplet in a hundred
      has a clear answer.
  """
  errors.check_least(1, n=n)
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


def read(path: files.Path, *, image_names: np.ndarray | None = None) -> Trials:
  """Reads one set of trials.

  Args:
    path: an AligNet npz.
    image_names: (images,) names of the images, to which the trials' are
      joined; None to take the file's numbers.

  Returns:
    The trials, in canonical order whatever the order of the file.

  Raises:
    AlignetError: a missing or damaged file, no trials, a similarity that is
      not finite, images of other names.
  """
  opened = npz.open(path)
  if not len(opened):
    raise AlignetError(f"{path} holds no trials")
  indices = opened.indices
  if image_names is not None:
    indices = images_lib.numbers(
        path, indices, opened.filename_blocks(), image_names
    )
  files.check_finite(opened.similarities, f"similarities in {path}")
  indices, similarities = layout.canonical_order(indices, opened.similarities)
  return Trials(
      indices=indices,
      probabilities=similarity.choice_probabilities(
          similarities.astype(np.float64)
      ),
  )


def find(path: files.Path, name: str = "") -> Mapping[str, pathlib.Path]:
  """Files of sets by their sets' names, sorted by name.

  Args:
    path: one npz, or a folder with a set in each.
    name: of the set of one file, by default the file's; of a folder's sets the
      first part, before a slash.

  Raises:
    AlignetError: a folder without a set.
  """
  path = pathlib.Path(path)
  if not path.is_dir():
    return {name or path.stem: path}
  paths = sorted(path.glob("*.npz"))
  if not paths:
    raise AlignetError(f"{path} holds no set of trials (*.npz)")
  return {f"{name}/{one.stem}" if name else one.stem: one for one in paths}


def read_folder(
    folder: files.Path, *, image_names: np.ndarray | None = None
) -> Mapping[str, Trials]:
  """Reads all sets of a folder: {set name: trials}, sorted by name; see `read`.

  Raises:
    AlignetError: no set, or a set that `read` refuses.
  """
  return {
      name: read(path, image_names=image_names)
      for name, path in find(folder).items()
  }
