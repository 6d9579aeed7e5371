"""Opens a source of images by its name on the command line."""

import re

from alignet import files
from alignet.data import records
from alignet.errors import AlignetError

FORMS = "tfds:NAME:SPLIT, folder:PATH, images:PATH"

# A part, `train[:300]`, has a colon of its own; parts are joined by `+`.
_PART = r"[^\[\]:+]+(\[[^\[\]]*\])?"
_TFDS = re.compile(rf"tfds:([^\[\]]+):({_PART}(\+{_PART})*)")


def tfds_name_and_split(spec: str) -> tuple[str, str] | None:
  """("imagenet2012", "train[:300]") of "tfds:imagenet2012:train[:300]".

  A version may follow the name, "tfds:imagenet2012:5.1.0:train". None for a
  text of another form.
  """
  match = _TFDS.fullmatch(spec)
  return match and (match[1], match[2])


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
  if name_and_split := tfds_name_and_split(spec):
    from alignet.data import tfds_images

    return tfds_images.TfdsSource(*name_and_split, data_dir=data_dir)
  raise AlignetError(f"source: expected {FORMS}, found {spec!r}")
