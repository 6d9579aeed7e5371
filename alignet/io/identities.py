"""What the rows and columns of arrays are, so that nothing is joined by count.

An artefact that holds row numbers says what they number: `rows`, a digest of
the file names or concept names in their order. Features, and what is fitted to
them, say what their columns are: `columns`, the network's weights, layer and
pixels. Both stand in the artefact's `meta`. Whoever joins two artefacts asks
`Trust`.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import hashlib
from typing import Any

from alignet import errors
from alignet.errors import AlignetError
import numpy as np

Rows = Mapping[str, Any]
"""n, and the hexadecimal sha256 of the names in their order."""

Columns = Mapping[str, Any]
"""Of representations' meta, what their values depend on but for the image."""

_COLUMNS = ("layer", "pool", "pixel_range", "resize", "background")


def of_names(names: Sequence[str] | np.ndarray) -> dict[str, Any]:
  """The identity of rows that are called so.

  Args:
    names: (n,) in the order of the rows.

  Returns:
    JSON: `n` and `sha256` of the names, joined by newlines, in UTF-8.
  """
  joined = "\n".join(np.asarray(names, np.str_).tolist())
  digest = hashlib.sha256(joined.encode("utf-8", "surrogateescape"))
  return {"n": len(names), "sha256": digest.hexdigest()}


def of_columns(meta: Mapping[str, Any]) -> dict[str, Any] | None:
  """The identity of the columns of representations with such a meta.

  Args:
    meta: of the representations.

  Returns:
    JSON; None where the meta names neither weights nor model. A model is its
    weights where these are known: a file may be renamed.
  """
  network = [k for k in ("weights_sha256", "model") if meta.get(k)][:1]
  if not network:
    return None
  keys = (*network, *_COLUMNS)
  return {key: meta[key] for key in keys if meta.get(key) is not None}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trust:
  """What the user vouches for where files do not say it.

  Attributes:
    rows: "as_stored": row i of one is row i of the other.
    columns: "as_given": a transform is of the features it is applied to.
  """

  rows: str | None = None
  columns: str | None = None

  def __post_init__(self):
    for name, allowed in (("rows", "as_stored"), ("columns", "as_given")):
      if value := getattr(self, name):
        errors.check_choice(f"--{name}", value, [allowed])

  def check_rows(
      self, one: object, rows: Rows | None, other: object, others: Rows | None
  ) -> None:
    """Fails where row numbers of two artefacts do not mean the same.

    Args:
      one: what the first is called in messages, such as its path.
      rows: what its numbers number; None where it does not say.
      other: likewise, the second.
      others: likewise.

    Raises:
      AlignetError: they differ, or one does not say and nobody vouches for it.
    """
    _check(one, rows, other, others, self.rows, _ROWS)

  def check_columns(
      self,
      one: object,
      columns: Columns | None,
      other: object,
      others: Columns | None,
  ) -> None:
    """Likewise of columns, such as a transform's and of features."""
    _check(one, columns, other, others, self.columns, _COLUMNS_SAY)

  def meta(self) -> dict[str, str]:
    """For the meta of an output: what was taken on the user's word."""
    return {k: v for k, v in dataclasses.asdict(self).items() if v}


NOTHING = Trust()
"""The user vouches for nothing."""

_ROWS = (
    "which images or concepts its row numbers are of",
    "--rows=as_stored",
    "they are those of {}",
    "numbers other rows than",
    "give the one that it was made from",
)
_COLUMNS_SAY = (
    "which network and layer it is of",
    "--columns=as_given",
    "it is that of {}",
    "is of other features than",
    "give those of the network and layer that it was made from",
)


def _check(one, its, other, others, trusted, words) -> None:
  what, flag, meaning, differs, mend = words
  # Of another program's file, whatever stands there says nothing.
  its, others = (x if isinstance(x, Mapping) else None for x in (its, others))
  if its is not None and others is not None:
    differ = sorted(
        key for key in {*its, *others} if its.get(key) != others.get(key)
    )
    if differ:
      said = ", ".join(
          f"{k} {_short(its.get(k))} and {_short(others.get(k))}"
          for k in differ
      )
      raise AlignetError(f"{one} {differs} {other} ({said}); {mend}")
  elif not trusted:
    silent, known = (one, other) if its is None else (other, one)
    raise AlignetError(
        f"{silent} does not say {what}; if {meaning.format(known)}, pass {flag}"
    )


def _short(value: object) -> str:
  text = str(value)
  return text if len(text) <= 40 else f"{text[:12]}…"
