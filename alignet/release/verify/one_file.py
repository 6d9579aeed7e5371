"""Checks of one AligNet npz: its format, its order, and where it came from."""

from collections.abc import Callable, Sequence
import pathlib

from alignet import transforms
from alignet.errors import AlignetError
from alignet.io import files
from alignet.release.verify import content
from alignet.release.verify import names
from alignet.release.verify import outcome
from alignet.triplets import npz
from alignet.triplets import sampling
from alignet.triplets import similarity
import numpy as np

TOLERANCE = 1e-3
"""Largest difference of recomputed similarities, over the largest of them."""

_RECOMPUTED = 2048


def verify(
    path: files.Path,
    *,
    image_filenames: np.ndarray | None = None,
    labels: np.ndarray | None = None,
    rule: sampling.Rule | str | None = None,
    classes_from_names: bool = False,
    features: np.ndarray | None = None,
    transform: transforms.Transform | None = None,
) -> outcome.Verification:
  """Checks an AligNet npz, ours or somebody else's.

  Args:
    path: the file.
    image_filenames: (n_images,) file name of each image of the dataset. Where
      the file's numbers are of another order of it, labels and features are
      joined by name.
    labels: (n_images,) groups that the triplets were sampled by.
    rule: a sampling rule or the name of one, with `labels`.
    classes_from_names: where there are no labels, take ImageNet's classes from
      file names such as n01440764_1.JPEG.
    features: (n_images, d) representations, to recompute some similarities, in
      the way and at the temperature that the file's meta says, if any.
    transform: applied to the features first; None for untransformed ones.

  Returns:
    One outcome a check; a check whose input was not given is "skipped". When
    the format or the indices are broken, later checks are not made.

  Raises:
    AlignetError: there is no such file, or an argument cannot be.
  """
  if not pathlib.Path(path).exists():
    raise AlignetError(f"{path} does not exist")
  if labels is not None:
    labels = files.check_array(labels, "labels", shape=(None,), kinds="iu")
  if isinstance(rule, str):
    rule = sampling.parse(rule).rule
  if features is not None and transform is not None:
    transform(features[:1])  # Refuses another width.
  checks = []
  n = None
  try:
    checks += content.format(path)
    if not outcome.none_failed(checks):
      return _verification(path, n, checks)
    content.checksums(path)
    opened = npz.open(path)
    n = len(opened)
    checks.append(outcome.check("rows", n > 0, f"{n} triplets"))
    if outcome.none_failed(checks):
      lengths = [
          len(x) for x in (image_filenames, labels, features) if x is not None
      ]
      checks += content.indices(opened, min(lengths, default=None))
    if not outcome.none_failed(checks):
      return _verification(path, n, checks)
    # From here on numbers are those of images.
    checks += content.similarities(opened)
    finite = checks[-1].status != "skipped"
    found = names.of(opened)
    checks.append(names.same_name(found))
    check, indices = names.against(opened, found, image_filenames)
    checks.append(check)
    if labels is None and classes_from_names:
      # By the file's own numbers, since they come from its own names.
      labels, indices_of_labels = names.imagenet_classes(found), opened.indices
    else:
      indices_of_labels = indices
    checks += _groups(indices_of_labels, labels, rule)
    checks.append(content.duplicates(opened))
    checks.append(content.meta(opened))
    if features is None:
      checks.append(outcome.skipped("recomputed", "features"))
    elif checks[-1].status == "fail":
      checks.append(outcome.skipped("recomputed", "meta that can be used"))
    elif finite:
      checks.append(_recomputed(opened, indices, features, transform))
  except files.BROKEN as e:  # Not foreseen in what others wrote, at the worst.
    said = (
        str(e)
        if isinstance(e, AlignetError)
        else f"{path} cannot be checked ({e!r})"
    )
    checks.append(outcome.Check(name="readable", status="fail", message=said))
  return _verification(path, n, checks)


def _verification(path, n, checks: Sequence[outcome.Check]):
  return outcome.Verification(path=str(path), n=n, checks=tuple(checks))


def _groups(
    indices: np.ndarray, labels: np.ndarray | None, rule: sampling.Rule | None
) -> list[outcome.Check]:
  """The pattern of groups, whatever the order of a row, and their counts."""
  counts = np.zeros(int(indices.max()) + 1, np.int64)
  bad = np.zeros(len(indices), bool)
  checked = labels is not None and rule is not None
  for start in range(0, len(indices), content.ROWS):
    block = indices[start : start + content.ROWS]
    np.add.at(counts, block.ravel(), 1)
    if checked:
      good = rule.obeyed(labels[block])
      bad[start : start + content.ROWS] = ~good
  checks = [_counted("images", "images", counts[counts > 0])]
  if labels is None:
    return [outcome.skipped("sampling", "labels and a sampling rule"), *checks]
  if checked:
    followed = f"groups as the rule {rule.name} has them"
    checks.append(outcome.rows_check("sampling", bad, followed))
  else:
    checks.append(outcome.skipped("sampling", "a sampling rule"))
  used = labels[: len(counts)]
  groups, group = np.unique(labels[labels >= 0], return_inverse=True)
  of_groups = np.zeros(len(groups), np.int64)
  np.add.at(of_groups, group[: (used >= 0).sum()], counts[used >= 0])
  checks.append(
      _counted("labels", "groups", of_groups[of_groups > 0], len(groups))
  )
  return checks


def _counted(
    name: str, what: str, counts: np.ndarray, n: int | None = None
) -> outcome.Check:
  """How often each of (n) things occurs in the places of the rows."""
  of = "" if n is None else f"of {n} "
  if not len(counts):
    return outcome.Check(name=name, status="info", message=f"0 {of}{what}")
  return outcome.Check(
      name=name,
      status="info",
      message=(
          f"{len(counts)} {of}{what}, each in {counts.min():.0f} to"
          f" {counts.max():.0f} places, {np.median(counts):g} in the middle"
      ),
  )


def _recomputed(
    opened: npz.AligNetFile,
    indices: np.ndarray,
    features: np.ndarray,
    transform: transforms.Transform | None,
) -> outcome.Check:
  """Similarities of some rows against those of representations."""
  n = len(opened)
  rows = np.unique(np.linspace(0, n - 1, min(n, _RECOMPUTED)).astype(np.int64))
  images, position = np.unique(indices[rows], return_inverse=True)
  position = position.reshape(-1, 3)
  x = np.asarray(features[images])
  z = x if transform is None else transform(x)
  stored = opened.similarities[rows]
  kind = opened.meta.get("similarity", "dot")
  temperature = float(opened.meta.get("temperature", 1.0))

  def worst(expected: np.ndarray) -> tuple[float, np.ndarray]:
    difference = np.abs(expected - stored).max(axis=1)
    return max(np.abs(expected).max(), 1e-30), difference

  largest, difference = worst(
      similarity.of_triplets(z, position, kind) / temperature
  )
  relative = float(difference.max() / largest)
  lengths = 1.0
  if kind == "dot":
    lengths = float(np.square(z.astype(np.float32)).sum(axis=1).max())
  rounding = content.ROUNDING.get(opened.meta.get("store"), 0.0)
  rounding *= lengths / temperature
  allowed = TOLERANCE + rounding / largest
  bad = np.flatnonzero(difference > allowed * largest)
  message = (
      f"{len(rows)} rows differ by at most {relative:.1e} of the largest"
      f" similarity from {kind} products of the representations,"
      f" {allowed:.2g} allowed"
  )
  if not len(bad):
    return outcome.check("recomputed", True, message)
  others: dict[str, Callable[[], np.ndarray]] = {
      "cosines": lambda: similarity.of_triplets(z, position, "cosine"),
      "dot products of untransformed representations": (
          lambda: similarity.of_triplets(x, position)
      ),
  }
  said = f"; {len(bad)} of them by more, first row {int(rows[bad[0]])}"
  for what, compute in others.items():
    size, rest = worst(compute())
    if rest.max() <= TOLERANCE * size:
      said += f"; they are {what}"
  return outcome.Check(
      name="recomputed",
      status="fail",
      message=message + said,
      rows=tuple(rows[bad[:10]].tolist()),
  )
