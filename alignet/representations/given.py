"""Representations that were computed elsewhere, joined with their images."""

from alignet import files
from alignet.data import images as images_lib
from alignet.errors import AlignetError
from alignet.representations import store


def import_features(
    out: files.Path,
    *,
    features: files.Path,
    images: files.Path,
    model: str,
    layer: str,
    source: str,
    overwrite: bool = False,
) -> None:
  """Makes a representations directory of an array and an image store.

  Args:
    out: the directory.
    features: npy file, (n, d) float16 or float32; row i belongs to image i.
    images: image store, for file names and labels.
    model: name of the network the features come from.
    layer: name of its layer.
    source: where the features come from, in words.
    overwrite: replace an existing directory.

  Raises:
    OutputExistsError: the directory exists.
    AlignetError: lengths that differ, another dtype, a NaN, a broken file.
  """
  files.check_output(out, overwrite=overwrite)
  image_store = images_lib.open_store(images)
  array = files.load_npy(
      features, what="features", shape=(None, None), kinds="f", mmap=True
  )
  if len(array) != len(image_store):
    raise AlignetError(
        f"{features} has {len(array)} rows, but {images} holds"
        f" {len(image_store)} images; give the features of these images, in"
        " their order"
    )
  store.write(
      out,
      array,
      image_store.filenames,
      image_store.labels,
      {
          "model": model,
          "layer": layer,
          "source": source,
          "images": dict(image_store.meta),
          "imported_sha256": files.sha256(features),
      },
      overwrite=overwrite,
  )
