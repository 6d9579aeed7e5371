"""Published models and one's own, by name or path, ready to be called."""

import os
import pathlib

from alignet import transforms
from alignet.data import decode
from alignet.errors import AlignetError
from alignet.io import download
from alignet.io import files
from alignet.io import identities
from alignet.models.encoders import encoders
from alignet.models.vit import zoo
import numpy as np

_HUB = "https://huggingface.co/{hub}/resolve/main/model.safetensors"


class Features:
  """Images in, features out; see `load_model`.

  Attributes:
    encoder: the network.
    transform: what is applied to its representations, or None.
  """

  def __init__(
      self,
      encoder: encoders.Encoder,
      transform: transforms.Transform | None = None,
  ):
    self.encoder, self.transform = encoder, transform

  def __call__(self, images: np.ndarray) -> np.ndarray:
    """(b, h, w, 3) uint8 RGB images -> (b, d) float32 features.

    Images of another size than the model's are resized straight to it, OpenCV
    cubic, as everywhere in alignet.

    Raises:
      AlignetError: no images, another shape or dtype.
    """
    images = np.asarray(images)
    files.check_array(images, "images", shape=(None, None, None, 3), kinds="u")
    if images.dtype != np.uint8 or not len(images):
      raise AlignetError(
          f"expected at least one uint8 image, found {len(images)} of dtype"
          f" {images.dtype}"
      )
    size, step = self.encoder.size, self.encoder.batch_size
    if images.shape[1:3] != (size, size):
      images = np.stack([decode.resize(image, size) for image in images])
    features = np.concatenate(
        [
            self.encoder(images[start : start + step])
            for start in range(0, len(images), step)
        ]
    )
    return features if self.transform is None else self.transform(features)


def load_model(
    name_or_path: files.Path,
    *,
    weights: files.Path | None = None,
    layer: str | None = None,
    size: int | None = None,
    pixel_range: str | None = None,
    pool: str | None = None,
    transform: files.Path | None = None,
    batch_size: int | None = None,
    allow_half: bool = False,
    columns: str | None = None,
) -> Features:
  """A model whose call turns uint8 images into features.

  The features of a post-trained student are aligned by themselves; those of the
  teacher are with its `transform`.

    features = alignet.load_model("weights.safetensors")(images)

  Args:
    name_or_path: weights of ours (.safetensors), a name of
      `alignet.models.vit.zoo`, onnx:FILE or saved_model:FOLDER.
    weights: of a model named, in any form that `alignet.models.formats.weights`
      reads; None downloads them from the Hugging Face hub, once.
    layer: what `alignet.models.encoders.encoders.open` takes; None for
      pre_logits, or the only output of a file.
    size: side of the images in pixels; None for what the model says.
    pixel_range: of an ONNX file or SavedModel: see `alignet.models.vit.pixels`.
    pool: "first" or "mean" token, of a layer of one vector a token.
    transform: a transform.npz to apply to the representations.
    batch_size: images on the device at a time; None for the model's own.
    allow_half: accept weights in half precision.
    columns: "as_given" for a transform that does not say of which network it
      is.

  Raises:
    AlignetError: no such model, no weights, weights that do not fit, a
      transform of another network, or the hub cannot be reached.
  """
  name = os.fspath(name_or_path)
  if name in zoo.ZOO and weights is None:
    weights = fetch(zoo.find(name))
  encoder = encoders.open(
      name,
      weights=weights,
      layer=layer,
      size=size,
      pixel_range=pixel_range,
      pool=pool,
      batch_size=batch_size,
      allow_half=allow_half,
  )
  of = identities.of_columns(encoders.meta_of(encoder))
  trust = identities.Trust(columns=columns)
  return Features(encoder, transforms.load_for(transform, name, of, trust))


def fetch(variant: zoo.Variant) -> pathlib.Path:
  """The published weights of a model, downloaded where they are not yet.

  They lie in `models` in `files.cache_dir()`.

  Raises:
    AlignetError: no address is known, or the hub cannot be reached.
  """
  if variant.hub is None:
    raise AlignetError(
        f"no address of {variant.name}'s weights is known to alignet; pass the"
        " file with --weights=FILE (weights=FILE)"
    )
  path = files.cache_dir() / "models" / f"{variant.name}.safetensors"
  if not path.exists():
    path.parent.mkdir(parents=True, exist_ok=True)
    url = _HUB.format(hub=variant.hub)
    try:
      download.download(url, path, attempts=3)
    except AlignetError as e:
      reason = str(e).removeprefix(f"{url}: ").split(";")[0]
      raise AlignetError(
          f"the weights of {variant.name} could not be downloaded from {url}:"
          f" {reason}; try again, or get that file elsewhere and pass it with"
          " --weights=FILE (weights=FILE)"
      ) from e
  return path
