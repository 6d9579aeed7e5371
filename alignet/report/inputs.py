"""What a comparison report is drawn from, in memory and on disk.

On disk it is one npz without pickles: each array under a numbered key, and a
JSON string `meta` that says which array belongs to which name.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import json
import pathlib
import types
from typing import Any

from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import json_files
import numpy as np

FILE_NAME = "report_inputs.npz"

_FORMAT = 1

Arrays = Mapping[str, np.ndarray]


def _default(**items: Any) -> Any:
  """A field whose default is a read-only mapping."""
  return dataclasses.field(
      default_factory=lambda: types.MappingProxyType(items)
  )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReportInputs:
  """Texts and arrays of a comparison page; what is empty is left out.

  Attributes:
    title: title of the page.
    note: caveat in a box on top of the page, for example that the observers
      are simulated and the page no result about people; "" for none.
    subtitle: one sentence below the title.
    texts: paragraphs of the caller's by section: "summary", "scores",
      "gallery", "matrices", "maps", "curves", "targets", "provenance".
    models: entry of the results -> text shown for it, in the order shown;
      models that are not named here follow sorted, under their own name.
    sets: entry of a model's results -> text shown for it, in order.
    chance: set -> score of a random choice.
    ceiling: set -> best possible score.
    intervals: what the intervals are.
    observers: what the observers are called in the gallery.
    gallery_images: (n, 3, h, w, 3) uint8.
    gallery_expected: (n,) position (0, 1, 2) of the observers' odd one.
    gallery_choices: model -> (n,) position of the model's odd one.
    gallery_names: (n, 3) str names of the images.
    gallery_probabilities: (n, 3) observers' probability of each pair being the
      most similar one, in the order [s01, s02, s12].
    gallery_labels: (n,) str title of each triplet, for example its set.
    matrices: model -> (n, n) similarities.
    matrix_groups: (n,) group number of each row.
    matrix_subgroups: (n,) finer group numbers.
    matrix_label: what the matrices hold, with unit.
    matrix_shared_scale: one colour scale for all matrices.
    points: model -> (m, 2) coordinates of a map.
    explained: model -> (2,) share of variance along each axis.
    point_groups: (m,) group number of each point.
    point_marks: (m,) number of each point's marker.
    mark_names: name of each marker.
    group_names: name of each group, of matrices and maps alike.
    curves: quantity with its unit -> model -> (2, k) steps and values.
    entropies: name of the targets -> (n,) entropy in nats.
  """

  title: str
  note: str
  subtitle: str = ""
  texts: Mapping[str, str] = _default()
  models: Mapping[str, str] = _default(
      base="base",
      untransformed="untransformed",
      matched="matched",
      aligned="aligned",
  )
  sets: Mapping[str, str] = _default(
      across="across",
      border="border",
      within="within",
      class_accuracy="class accuracy",
  )
  chance: Mapping[str, float] = _default(
      across=1 / 3,
      border=1 / 3,
      within=1 / 3,
  )
  ceiling: Mapping[str, float] = _default()
  intervals: str = "95 % intervals, bootstrap over concepts"
  observers: str = "observers"
  gallery_images: np.ndarray | None = None
  gallery_expected: np.ndarray | None = None
  gallery_choices: Arrays = _default()
  gallery_names: np.ndarray | None = None
  gallery_probabilities: np.ndarray | None = None
  gallery_labels: np.ndarray | None = None
  matrices: Arrays = _default()
  matrix_groups: np.ndarray | None = None
  matrix_subgroups: np.ndarray | None = None
  matrix_label: str = "cosine similarity"
  matrix_shared_scale: bool = True
  points: Arrays = _default()
  explained: Arrays = _default()
  point_groups: np.ndarray | None = None
  point_marks: np.ndarray | None = None
  mark_names: Sequence[str] = ()
  group_names: Sequence[str] = ()
  curves: Mapping[str, Arrays] = _default()
  entropies: Arrays = _default()

  def __post_init__(self):
    for whole, part in (
        ("gallery_images", "gallery_expected"),
        ("matrices", "matrix_groups"),
        ("points", "point_groups"),
    ):
      value = getattr(self, whole)
      given = value is not None and len(value) > 0
      if given and getattr(self, part) is None:
        raise AlignetError(
            f"report inputs hold {whole} without {part}; give both or neither"
        )


def save_inputs(
    directory: files.Path, inputs: ReportInputs, *, overwrite: bool = False
) -> pathlib.Path:
  """Writes `report_inputs.npz` into a folder; equal inputs, equal bytes.

  Raises:
    OutputExistsError: the file exists.
    AlignetError: an array that cannot be stored without a pickle.
  """
  arrays: dict[str, np.ndarray] = {}
  fields = {
      field.name: _pack(getattr(inputs, field.name), field.name, arrays)
      for field in dataclasses.fields(inputs)
  }
  meta = json.dumps({"format": _FORMAT, "fields": fields})
  path = pathlib.Path(directory) / FILE_NAME
  files.save_npz(
      path,
      {"meta": np.array(meta), **arrays},
      overwrite=overwrite,
      compress=True,
  )
  return path


@dataclasses.dataclass(frozen=True)
class _Meta:
  format: int
  fields: json_files.Object


def load_inputs(directory: files.Path) -> ReportInputs:
  """Reads `report_inputs.npz` from a folder.

  Raises:
    AlignetError: missing, truncated, or written by another version.
  """
  path = pathlib.Path(directory) / FILE_NAME
  arrays = files.load_npz(path, required=("meta",))
  meta = json_files.parse_array(arrays["meta"], f"meta in {path}", _Meta)
  version, packed = meta["format"], meta["fields"]
  known = {field.name for field in dataclasses.fields(ReportInputs)}
  if version != _FORMAT or not set(packed) <= known:
    unknown = sorted(set(packed) - known)
    raise AlignetError(
        f"{path} is of format {version} (unknown fields: {unknown}); expected"
        f" {_FORMAT}: run the pipeline again with this version of alignet"
    )
  try:
    fields = {name: _unpack(value, arrays) for name, value in packed.items()}
    return ReportInputs(**fields)
  except (KeyError, TypeError) as e:
    raise AlignetError(f"{path} is damaged: {e} is missing") from e


def _pack(value: Any, where: str, arrays: dict[str, np.ndarray]) -> Any:
  """JSON for a value; arrays go into `arrays` and leave their key."""
  if isinstance(value, Mapping):
    return {
        "names": [
            [str(k), _pack(v, f"{where}.{k}", arrays)] for k, v in value.items()
        ]
    }
  if isinstance(value, np.ndarray):
    if value.dtype.kind not in "biufU":
      raise AlignetError(
          f"report input {where}: expected numbers or fixed-width strings,"
          f" found dtype {value.dtype}"
      )
    key = f"array_{len(arrays):04d}"
    arrays[key] = value
    return {"array": key}
  if isinstance(value, (list, tuple)):
    if any(not isinstance(v, str) for v in value):
      return _pack(np.asarray(value), where, arrays)
    return {"texts": [str(v) for v in value]}
  if isinstance(value, np.generic):
    value = value.item()
  return {"value": value}


def _unpack(packed: Any, arrays: Mapping[str, np.ndarray]) -> Any:
  if "names" in packed:
    return {name: _unpack(value, arrays) for name, value in packed["names"]}
  if "array" in packed:
    return arrays[packed["array"]]
  if "texts" in packed:
    return tuple(packed["texts"])
  return packed["value"]
