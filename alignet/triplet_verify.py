"""Checks of an AligNet npz: its format, its order, and where it came from."""

from collections.abc import Iterator, Sequence
import dataclasses
from typing import Any, Literal

from alignet import files
from alignet import npz_stream
from alignet import sampling
from alignet import similarity
from alignet import transforms
from alignet import triplet_io
from alignet import triplets
import numpy as np

Status = Literal["pass", "warn", "fail", "info", "skipped"]

ONE_HOT = 0.05
UNIFORM = 1.09
"""Mean target entropies in nats (log 3 = 1.0986 at most) beyond which soft
labels hardly say more than a choice, or hardly anything."""

TOLERANCE = 1e-3
"""Largest difference of recomputed similarities, over the largest of them."""

ROUNDING = {"float16": 2.0**-10, "bfloat16": 2.0**-7}
"""What rows that were multiplied in 16 bits may add to that, over the largest
product of two rows' lengths: both factors are rounded."""

_ROWS = 65536
_RECOMPUTED = 2048


@dataclasses.dataclass(frozen=True, kw_only=True)
class Check:
  """Outcome of one check.

  Attributes:
    name: what was checked.
    status: "fail" for what breaks readers or is wrong, "warn" for what is
      allowed and unusual, "info" for a figure, "skipped" where something needed
      was not given.
    message: one sentence, with the first row at fault.
  """

  name: str
  status: Status
  message: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verification:
  """Outcome of all checks.

  Attributes:
    path: the file.
    n: number of triplets, None where the format is too broken to tell.
    checks: in the order they were made.
  """

  path: str
  n: int | None
  checks: tuple[Check, ...]

  @property
  def ok(self) -> bool:
    """Whether nothing failed."""
    return _none_failed(self.checks)

  def __getitem__(self, name: str) -> Check:
    return next(check for check in self.checks if check.name == name)

  def to_json(self) -> dict[str, Any]:
    """The same as JSON values."""
    return {**dataclasses.asdict(self), "ok": self.ok}


def verify(
    path: files.Path,
    *,
    image_filenames: np.ndarray | None = None,
    labels: np.ndarray | None = None,
    rule: sampling.Rule | None = None,
    features: np.ndarray | None = None,
    transform: transforms.Transform | None = None,
) -> Verification:
  """Checks an AligNet npz, ours or somebody else's.

  Args:
    path: the file.
    image_filenames: (n_images,) file name of each image of the dataset.
    labels: (n_images,) groups that the triplets were sampled by.
    rule: "random", "between", "border" or "within", with `labels`.
    features: (n_images, d) representations, to recompute some similarities.
    transform: applied to the features first; None for untransformed ones.

  Returns:
    One outcome a check; a check whose input was not given is "skipped". When
    the format or the indices are broken, later checks are not made.

  Raises:
    AlignetError: the file is missing or damaged, or an argument cannot be.
  """
  checks = list(_format(path))
  n = None
  if _none_failed(checks):
    opened = triplet_io.open(path)
    n = len(opened)
    checks.append(_check("rows", n > 0, f"{n} triplets"))
  if _none_failed(checks):
    lengths = [
        len(x) for x in (image_filenames, labels, features) if x is not None
    ]
    checks += _indices(opened, min(lengths, default=None))
  if _none_failed(checks):  # From here on numbers are those of images.
    checks += _similarities(opened)
    if checks[-1].status != "skipped":
      checks.append(_recomputed(opened, features, transform))
    checks += [
        _same_name(opened),
        _names(opened, image_filenames),
        _rule(opened, labels, rule),
        _duplicates(opened),
    ]
  return Verification(path=str(path), n=n, checks=tuple(checks))


def _none_failed(checks: Sequence[Check]) -> bool:
  return all(check.status != "fail" for check in checks)


def _check(name: str, good: bool, message: str, bad: Status = "fail") -> Check:
  return Check(name=name, status="pass" if good else bad, message=message)


def _skipped(name: str, needs: str) -> Check:
  return Check(name=name, status="skipped", message=f"needs {needs}")


def _rows_check(
    name: str, bad: np.ndarray, rule: str, status: Status = "fail"
) -> Check:
  """A check that holds row by row; `bad` is (n,) bool."""
  if not bad.any():
    return Check(name=name, status="pass", message=rule)
  return Check(
      name=name,
      status=status,
      message=(
          f"expected {rule}; not so in {bad.sum()} of {len(bad)} rows, first in"
          f" row {int(np.argmax(bad))}"
      ),
  )


def _format(path: files.Path) -> Iterator[Check]:
  """Keys, shapes and dtypes, from the headers."""
  with files.open_npz(path, required=()) as archive:
    missing = [key for key in triplet_io.KEYS if key not in archive.files]
    yield _check(
        "keys",
        not missing,
        f"found {', '.join(archive.files) or 'none'}"
        + (f"; {', '.join(missing)} missing" if missing else ""),
    )
    if missing:
      return
    headers = {
        key: npz_stream.header(archive, key, path) for key in triplet_io.KEYS
    }
  shapes = {key: shape for key, (shape, _) in headers.items()}
  n = shapes["indices"][:1]
  yield _check(
      "shapes",
      bool(n) and all(shape == (*n, 3) for shape in shapes.values()),
      "expected (n, 3) with one n, found "
      + ", ".join(f"{key} {shape}" for key, shape in shapes.items()),
  )
  dtypes = {key: dtype for key, (_, dtype) in headers.items()}
  kinds = {"filenames": "US", "similarities": "f", "indices": "iu"}
  wrong = [key for key in kinds if dtypes[key].kind not in kinds[key]]
  usual = (
      dtypes["similarities"] == np.float32 and dtypes["filenames"].kind == "U"
  )
  yield Check(
      name="dtypes",
      status="fail" if wrong else "pass" if usual else "warn",
      message="expected strings, float32 and integers, found "
      + ", ".join(f"{key} {dtype}" for key, dtype in dtypes.items()),
  )


def _indices(
    opened: triplet_io.AligNetFile, n_images: int | None
) -> list[Check]:
  """Range and distinctness."""
  with files.open_npz(opened.path, required=("indices",)) as archive:
    indices = files.read_member(archive, "indices", opened.path)
  limit = np.iinfo(np.int32).max + 1 if n_images is None else n_images
  outside = ((indices < 0) | (indices >= limit)).any(axis=1)
  i, j, k = indices.T
  return [
      _rows_check("range", outside, f"image numbers from 0 to {limit - 1}"),
      _rows_check(
          "distinct",
          (i == j) | (i == k) | (j == k),
          "three distinct images a row",
      ),
  ]


def _similarities(opened: triplet_io.AligNetFile) -> list[Check]:
  """Finiteness, order and entropy."""
  s = opened.similarities
  finite = np.isfinite(s).all(axis=1)
  first = _rows_check("finite", ~finite, "finite similarities")
  if not finite.all():
    names = ("odd_last", "readme_order", "sorted", "target_entropy")
    return [first, *(_skipped(name, "finite similarities") for name in names)]
  unsorted = np.zeros(len(s), bool)
  entropy = 0.0
  for start in range(0, len(s), _ROWS):
    rows = slice(start, start + _ROWS)
    order = triplets.canonical_order(opened.indices[rows], s[rows])[0]
    unsorted[rows] = (order != opened.indices[rows]).any(axis=1)
    log_p = similarity.log_choice_probabilities(s[rows])
    entropy += float(similarity.entropy(log_p).sum(dtype=np.float64))
  entropy /= len(s)
  note = ""
  if entropy < ONE_HOT:
    note = ": nearly one-hot, the soft labels say little more than a choice"
  elif entropy > UNIFORM:
    note = ": nearly uniform, the labels say hardly anything"
  return [
      first,
      _rows_check(
          "odd_last",
          (s[:, 0] < s[:, 1]) | (s[:, 0] < s[:, 2]),
          "s01 largest, the odd one last",
      ),
      _rows_check(
          "readme_order",
          (s[:, 2] > s[:, 0]) | (s[:, 2] > s[:, 1]),
          "s12 smallest",
          "warn",
      ),
      _rows_check(
          "sorted",
          unsorted,
          "canonical order: s01 >= s02 >= s12, ties by image number",
          "info",
      ),
      Check(
          name="target_entropy",
          status="warn" if note else "pass",
          message=f"mean {entropy:.4f} nats of at most {np.log(3):.4f}{note}",
      ),
  ]


def _same_name(opened: triplet_io.AligNetFile) -> Check:
  """One image number, one file name; and the other way round."""
  known = np.zeros(int(opened.indices.max()) + 1, bool)
  names = None
  bad = np.zeros(len(opened), bool)
  for start, block in _name_blocks(opened):
    indices = opened.indices[start : start + len(block)]
    if names is None:
      names = np.zeros(len(known), block.dtype)
    new = ~known[indices]
    names[indices[new]] = block[new]
    known[indices] = True
    bad[start : start + len(block)] = (names[indices] != block).any(axis=1)
  check = _rows_check("same_name", bad, "one file name an image number")
  used = names[known]
  if check.status == "pass" and len(np.unique(used)) < len(used):
    return dataclasses.replace(
        check,
        status="warn",
        message=(
            "file names do not identify images:"
            f" {len(used)} image numbers share {len(np.unique(used))} names"
        ),
    )
  return check


def _names(
    opened: triplet_io.AligNetFile, image_filenames: np.ndarray | None
) -> Check:
  """File names against image numbers."""
  if image_filenames is None:
    return _skipped("filenames", "the file names of the dataset's images")
  image_filenames = np.asarray(image_filenames)
  bad = np.zeros(len(opened), bool)
  for start, block in _name_blocks(opened):
    expected = image_filenames[opened.indices[start : start + len(block)]]
    bad[start : start + len(block)] = (expected != block).any(axis=1)
  return _rows_check("filenames", bad, "the dataset's file name of each image")


def _rule(
    opened: triplet_io.AligNetFile,
    labels: np.ndarray | None,
    rule: sampling.Rule | None,
) -> Check:
  """The pattern of groups, whatever the order of a row."""
  if labels is None or rule is None:
    return _skipped("sampling", "labels and a sampling rule")
  labels = files.check_array(labels, "labels", shape=(None,), kinds="iu")
  good = sampling.obeys(rule, labels[opened.indices])
  return _rows_check("sampling", ~good, f"groups as the rule {rule} has them")


def _duplicates(opened: triplet_io.AligNetFile) -> Check:
  """How many rows are the same three images as another."""
  rows = np.sort(opened.indices, axis=1).astype(np.int64)
  n_images = int(rows.max()) + 1
  if n_images < 2**21:  # Three numbers fit one.
    keys = np.sort((rows[:, 0] * n_images + rows[:, 1]) * n_images + rows[:, 2])
    repeated = int((keys[1:] == keys[:-1]).sum())
  else:
    rows = rows[np.lexsort(rows.T)]
    repeated = int((rows[1:] == rows[:-1]).all(axis=1).sum())
  return Check(
      name="duplicates",
      status="info",
      message=f"{repeated} of {len(rows)} rows repeat the images of another",
  )


def _recomputed(
    opened: triplet_io.AligNetFile,
    features: np.ndarray | None,
    transform: transforms.Transform | None,
) -> Check:
  """Similarities of some rows against dot products of representations."""
  if features is None:
    return _skipped("recomputed", "features")
  n = len(opened)
  rows = np.unique(np.linspace(0, n - 1, min(n, _RECOMPUTED)).astype(np.int64))
  images, position = np.unique(opened.indices[rows], return_inverse=True)
  z = np.asarray(features[images])
  z = z if transform is None else transform(z)
  expected = similarity.of_triplets(z, position.reshape(-1, 3))
  difference = np.abs(expected - opened.similarities[rows]).max()
  largest = max(float(np.abs(expected).max()), 1e-30)
  relative = float(difference) / largest
  lengths = float(np.square(z.astype(np.float32)).sum(axis=1).max())
  rounding = ROUNDING.get(opened.meta.get("store"), 0.0) * lengths
  allowed = TOLERANCE + rounding / largest
  return _check(
      "recomputed",
      relative <= allowed,
      f"{len(rows)} rows differ by at most {relative:.1e} of the largest"
      f" similarity from dot products of the representations, {allowed:.2g}"
      " allowed",
  )


def _name_blocks(
    opened: triplet_io.AligNetFile,
) -> Iterator[tuple[int, np.ndarray]]:
  start = 0
  for block in opened.filename_blocks(_ROWS):
    yield start, block
    start += len(block)
