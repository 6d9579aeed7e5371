"""Format, numbers and similarities of an AligNet npz, the file alone."""

from collections.abc import Iterator
from typing import get_args

from alignet.io import files
from alignet.io import npz_stream
from alignet.release.verify import outcome
from alignet.triplets import layout
from alignet.triplets import npz
from alignet.triplets import similarity
import numpy as np

ONE_HOT = 0.05
UNIFORM = 1.09
"""Mean target entropies in nats (log 3 = 1.0986 at most) beyond which soft
labels hardly say more than a choice, or hardly anything."""

ROUNDING = {"float16": 2.0**-10, "bfloat16": 2.0**-7}
"""What rows that were multiplied in 16 bits may add to the allowed difference,
over the largest product of two rows' lengths: both factors are rounded."""

ROWS = 65536

MOST_IMAGES = 2**26
"""Images of a dataset whose number is not known: tables have a row for each."""


def format(path: files.Path) -> Iterator[outcome.Check]:
  """Keys, shapes and dtypes, from the headers."""
  with files.open_npz(path, required=()) as archive:
    missing = [key for key in npz.KEYS if key not in archive.files]
    yield outcome.check(
        "keys",
        not missing,
        f"found {', '.join(archive.files) or 'none'}"
        + (f"; {', '.join(missing)} missing" if missing else ""),
    )
    if missing:
      return
    headers = {key: npz_stream.header(archive, key, path) for key in npz.KEYS}
  shapes = {key: shape for key, (shape, _) in headers.items()}
  n = shapes["indices"][:1]
  yield outcome.check(
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
  yield outcome.Check(
      name="dtypes",
      status="fail" if wrong else "pass" if usual else "warn",
      message="expected strings, float32 and integers, found "
      + ", ".join(f"{key} {dtype}" for key, dtype in dtypes.items()),
  )


def checksums(path: files.Path) -> None:
  """Reads all but the file names, which `names.of` reads to their end.

  Raises:
    AlignetError: an array is damaged.
  """
  with files.open_npz(path, required=()) as archive:
    npz_stream.check(archive, path, skip="filenames")


def indices(
    opened: npz.AligNetFile, n_images: int | None
) -> list[outcome.Check]:
  """Range and distinctness."""
  with files.open_npz(opened.path, required=("indices",)) as archive:
    numbers = files.read_member(archive, "indices", opened.path)
  limit = MOST_IMAGES if n_images is None else n_images
  more = " (beyond, with --representations only)" if n_images is None else ""
  outside = ((numbers < 0) | (numbers >= limit)).any(axis=1)
  i, j, k = numbers.T
  return [
      outcome.rows_check(
          "range", outside, f"image numbers from 0 to {limit - 1}{more}"
      ),
      outcome.rows_check(
          "distinct",
          (i == j) | (i == k) | (j == k),
          "three distinct images a row",
      ),
  ]


def similarities(opened: npz.AligNetFile) -> list[outcome.Check]:
  """Finiteness, order and entropy."""
  s = opened.similarities
  finite = np.isfinite(s).all(axis=1)
  first = outcome.rows_check("finite", ~finite, "finite similarities")
  if not finite.all():
    names = (
        *("odd_last", "readme_order", "sorted", "scale", "target_entropy"),
    )
    return [
        first,
        *(outcome.skipped(name, "finite similarities") for name in names),
    ]
  unsorted = np.zeros(len(s), bool)
  entropy = 0.0
  for start in range(0, len(s), ROWS):
    rows = slice(start, start + ROWS)
    order = layout.canonical_order(opened.indices[rows], s[rows])[0]
    unsorted[rows] = (order != opened.indices[rows]).any(axis=1)
    log_p = similarity.log_choice_probabilities(s[rows])
    entropy += float(similarity.entropy(log_p).sum(dtype=np.float64))
  entropy /= len(s)
  largest = float(np.abs(s).max())
  note = ""
  if entropy < ONE_HOT:
    note = ": nearly one-hot, the soft labels say little more than a choice"
  elif entropy > UNIFORM:
    note = ": nearly uniform, the labels say hardly anything"
  return [
      first,
      outcome.rows_check(
          "odd_last",
          (s[:, 0] < s[:, 1]) | (s[:, 0] < s[:, 2]),
          "s01 largest, the odd one last",
      ),
      outcome.rows_check(
          "readme_order",
          (s[:, 2] > s[:, 0]) | (s[:, 2] > s[:, 1]),
          "s12 smallest",
          "warn",
      ),
      outcome.rows_check(
          "sorted",
          unsorted,
          "canonical order: s01 >= s02 >= s12, ties by image number",
          "info",
      ),
      outcome.check(
          "scale",
          largest > 1 + 1e-5,
          f"largest similarity {largest:.4g}"
          + ("" if largest > 1 + 1e-5 else ": these look like cosines"),
          "warn",
      ),
      outcome.Check(
          name="target_entropy",
          status="warn" if note else "pass",
          message=f"mean {entropy:.4f} nats of at most {np.log(3):.4f}{note}",
      ),
  ]


def meta(opened: npz.AligNetFile) -> outcome.Check:
  """What the file says of how its similarities came, if anything.

  Files without meta, such as those of the public release, hold dot products.
  """
  temperature = opened.meta.get("temperature", 1.0)
  number = isinstance(temperature, int | float) and not isinstance(
      temperature, bool
  )
  found = {
      "similarity": opened.meta.get("similarity", "dot"),
      "store": opened.meta.get("store", "float32"),
  }
  expected = {
      "similarity": get_args(similarity.Kind),
      "store": ("float32", *ROUNDING),
  }
  wrong = [
      f"{key} one of {', '.join(expected[key])}, found {value!r}"
      for key, value in found.items()
      if value not in expected[key]
  ]
  if not (number and 0 < temperature < 1e30):
    wrong.append(f"temperature a positive number, found {temperature!r}")
  return outcome.check(
      "meta",
      not wrong,
      f"expected {'; '.join(wrong)}"
      if wrong
      else f"{found['similarity']} products of {found['store']} numbers,"
      f" temperature {temperature:g}",
  )


def duplicates(opened: npz.AligNetFile) -> outcome.Check:
  """How many rows are the same three images as another."""
  largest = int(opened.indices.max()) + 1
  keys = np.sort(layout.keys_of_sets(opened.indices, largest))
  repeated = int((keys[1:] == keys[:-1]).sum())
  return outcome.Check(
      name="duplicates",
      status="info",
      message=f"{repeated} of {len(keys)} rows repeat the images of another",
  )
