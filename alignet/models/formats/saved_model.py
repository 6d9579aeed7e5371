"""SavedModels of TensorFlow: AligNet's released ones, and those we write.

Two ways in: their weights, as parameters of a `VisionModel`, and their function
`serving_default`, as it is. TensorFlow is loaded when one is opened.

The released parameter tree is `model/_Model_0/…`, with big_vision's names in
it, `triplet_head/{kernel,bias}` and `i1k_head/{norm,dense}/…`; ours is that of
`VisionModel`. A variable is known by such a path at the end of its key in the
checkpoint or, where the tree was saved as a list, of its own name.
"""

from collections.abc import Mapping
import hashlib
import os
import pathlib
import re
from typing import Any, NamedTuple

from alignet.errors import AlignetError
from alignet.io import files
from alignet.models.formats import big_vision
import numpy as np

FILE = "saved_model.pb"
OUTPUT = "pre_logits"

_VARIABLES = "variables/variables"
_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_SIGNATURE = "serving_default"
# What a name begins with here, by the part of a path where it begins.
_ROOTS = {
    "_Model_0": "backbone",
    "backbone": "backbone",
    "triplet_head": "triplet_head",
    "class_head": "class_head",
    "i1k_head": "i1k_head",
}


class Signature(NamedTuple):
  """A SavedModel's function.

  Attributes:
    loaded: the SavedModel, which must live as long as the function.
    function: TensorFlow's, of keyword arguments.
    input: name of its only argument, images (n, h, w, 3) float32.
    shape: n, h, w, each None where it is free.
    outputs: names.
  """

  loaded: Any
  function: Any
  input: str
  shape: tuple[int | None, int | None, int | None]
  outputs: tuple[str, ...]

  def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
    tf = tensorflow()
    try:
      found = self.function(**{self.input: tf.constant(images)})
    except Exception as e:  # TensorFlow raises what its kernels raise.
      raise AlignetError(
          "the SavedModel cannot take images of"
          f" {images.shape[1]} x {images.shape[2]} pixels here:"
          f" {_first_line(e)}"
      ) from e
    return {name: value.numpy() for name, value in found.items()}


def open(path: files.Path) -> Signature:  # pylint: disable=redefined-builtin
  """The function `serving_default` of a SavedModel.

  Raises:
    AlignetError: no TensorFlow; no SavedModel, or a damaged one; no such
      function, or one of other arguments.
  """
  path = _check_folder(path)
  tf = tensorflow()
  try:
    loaded = tf.saved_model.load(str(path))
  except Exception as e:  # TensorFlow raises what its readers raise.
    raise _damaged(path, e) from e
  signatures = loaded.signatures
  if _SIGNATURE not in signatures:
    raise AlignetError(
        f"{path}: expected a function {_SIGNATURE}, found"
        f" {', '.join(signatures) or 'none'}; export the model with one"
    )
  function = signatures[_SIGNATURE]
  inputs = function.structured_input_signature[1]
  specs = [(name, spec.dtype.name, spec.shape) for name, spec in inputs.items()]
  if (
      len(specs) != 1
      or specs[0][1] != "float32"
      or specs[0][2].rank != 4
      or specs[0][2][3] not in (3, None)
  ):
    found = [f"{name} {dtype} {shape}" for name, dtype, shape in specs]
    raise AlignetError(
        f"{path}: expected one input of float32 images (n, h, w, 3), found"
        f" {', '.join(found)}; export the image encoder alone"
    )
  ((name, _, shape),) = specs
  outputs = tuple(function.structured_outputs)
  return Signature(loaded, function, name, tuple(shape[:3]), outputs)


def read(
    path: files.Path, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, np.ndarray]:
  """Flat parameters with the names of a `VisionModel`.

  Args:
    path: the folder of a SavedModel.
    shapes: of the backbone's parameters, as `big_vision.to_ours` takes them.

  Returns:
    What could be named; the rest keeps its key, for `checkpoints.check_tree` to
    tell.

  Raises:
    AlignetError: no TensorFlow; no SavedModel, or a damaged one; no parameters
      of a ViT in it, or two of one name.
  """
  path = _check_folder(path)
  tensors = {}
  for names, value in _variables(path):
    known = [ours for name in names if (ours := _ours(name))]
    name = known[0] if known else names[0]
    if name in tensors:
      raise AlignetError(
          f"{path} holds {name} twice, the second as {names[0]}; export the"
          " model's parameters once"
      )
    tensors[name] = value
  own = {
      name.removeprefix("backbone/"): value
      for name, value in tensors.items()
      if name.startswith("backbone/")
  }
  if not own:
    raise AlignetError(
        f"{path} holds no parameters known here: expected names that end with"
        " _Model_0/embedding/kernel and the like, found"
        f" {', '.join(list(tensors)[:4]) or 'nothing'}; extract with it as it"
        f" is, --model=saved_model:{path}"
    )
  rest = {
      name: value
      for name, value in tensors.items()
      if not name.startswith("backbone/")
  }
  own = big_vision.to_ours(own, shapes)
  return {f"backbone/{name}": value for name, value in own.items()} | rest


def sha256(path: files.Path) -> str:
  """Hexadecimal sha256 of a SavedModel: its graph and its variables, if any."""
  folder = pathlib.Path(path)
  parts = [folder / FILE, *sorted((folder / "variables").glob("*"))]
  lines = [f"{part.name} {files.sha256(part)}\n" for part in parts]
  return hashlib.sha256("".join(lines).encode()).hexdigest()


def tensorflow() -> Any:
  """The package; an error that says how to install it where it is not there."""
  # It says what it found of processors, on every start.
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
  try:
    import tensorflow as tf  # pylint: disable=g-import-not-at-top
  except ImportError as e:
    raise AlignetError(
        "TensorFlow is not installed; pip install 'alignet[export]'"
    ) from e
  return tf


def _variables(path: pathlib.Path):
  """(key and own name, value) of each variable of a SavedModel."""
  tf = tensorflow()
  # pylint: disable-next=g-import-not-at-top
  from tensorflow.core.protobuf import trackable_object_graph_pb2

  if not (path / f"{_VARIABLES}.index").is_file():
    raise AlignetError(
        f"{path / _VARIABLES}.index does not exist; get the whole folder of the"
        " SavedModel"
    )
  found = []
  try:
    reader = tf.train.load_checkpoint(str(path / _VARIABLES))
    graph = trackable_object_graph_pb2.TrackableObjectGraph.FromString(
        reader.get_tensor(_GRAPH)
    )
    for node in graph.nodes:
      for variable in node.attributes:
        key = variable.checkpoint_key
        names = (_unescaped(key), variable.full_name)
        found.append((names, np.asarray(reader.get_tensor(key))))
  except Exception as e:  # TensorFlow raises what its readers raise.
    raise _damaged(path, e) from e
  return found


def _unescaped(key: str) -> str:
  """A checkpoint's key without what TensorFlow adds to a variable's path."""
  key = key.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE")
  return re.sub(r"\.[S.]", lambda m: "/" if m[0] == ".S" else ".", key)


def _ours(name: str) -> str | None:
  parts = name.split("/")
  for i, part in enumerate(parts):
    if part in _ROOTS:
      return "/".join([_ROOTS[part], *parts[i + 1 :]])
  return None


def _check_folder(path: files.Path) -> pathlib.Path:
  path = pathlib.Path(path)
  if not path.exists():
    raise AlignetError(f"{str(path)!r} does not exist")
  if not (path / FILE).is_file():
    raise AlignetError(
        f"{path} is no SavedModel: expected a folder with {FILE}; unpack the"
        " archive first, if it is one"
    )
  return path


def _damaged(path: pathlib.Path, error: Exception) -> AlignetError:
  return AlignetError(
      f"{path} cannot be read as a SavedModel: it is damaged or of another"
      f" format ({_first_line(error)})"
  )


def _first_line(error: Exception) -> str:
  return (str(error).strip().splitlines() or [type(error).__name__])[0]
