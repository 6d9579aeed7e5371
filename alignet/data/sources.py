"""Opens a source of images by its name on the command line."""

from alignet import files
from alignet.data import records
from alignet.errors import AlignetError

FORMS = "tfds:NAME:SPLIT, folder:PATH, images:PATH"


def open(  # pylint: disable=redefined-builtin
    spec: str, *, data_dir: files.Path | None = None
) -> records.Source:
  """The source that a text names.

  Args:
    spec: `tfds:imagenet2012:train` (a version may follow the name,
      `tfds:imagenet2012:5.1.0:train`), `folder:PATH` for image files, or
      `images:PATH` for an image store.
    data_dir: where TFDS keeps its datasets; None for its default.

  Raises:
    AlignetError: another form, or a source that is not there.
  """
  kind, _, rest = spec.partition(":")
  if kind == "folder" and rest:
    from alignet.data import image_folder

    return image_folder.FolderSource(rest)
  if kind == "images" and rest:
    return records.StoreSource(rest)
  name, _, split = rest.rpartition(":")
  if kind == "tfds" and name and split:
    from alignet.data import tfds_images

    return tfds_images.TfdsSource(name, split, data_dir=data_dir)
  raise AlignetError(f"source: expected {FORMS}, found {spec!r}")
