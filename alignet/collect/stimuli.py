"""The images of a page, as bytes that a browser shows."""

from collections.abc import Sequence
import dataclasses
import pathlib

from alignet.data import image_sources
from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import progress

_JPEG = b"\xff\xd8\xff"
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stimulus:
  """An image file.

  Attributes:
    media_type: such as "image/png".
    suffix: such as ".png".
    content: its bytes.
  """

  media_type: str
  suffix: str
  content: bytes


def read(
    source: str,
    names: Sequence[str],
    *,
    size: int | None = None,
    data_dir: str | None = None,
) -> list[Stimulus]:
  """Reads images by name.

  JPEG and PNG files are kept as they are, unless a size is given, but for the
  notes of a camera in them. That it was turned counts for nothing, as in
  `alignet extract`: people and models see the same. (Browsers turn images of a
  page on a disk whatever its style says.) Where it was is nobody's business.

  Args:
    source: as for `alignet extract`: `folder:PATH`, `images:PATH`, or
      `tfds:NAME:SPLIT`.
    names: file names of the images, as the source calls them.
    size: longest side of the images in pixels; larger ones are shrunk.
    data_dir: where TFDS keeps its datasets.

  Returns:
    A stimulus a name.

  Raises:
    AlignetError: a source that is not there, a name that it does not have, an
      image that cannot be decoded.
  """
  found = find(source, names, data_dir=data_dir)
  return [_stimulus(found[name], size) for name in names]


def find(
    source: str, names: Sequence[str], *, data_dir: str | None = None
) -> dict[str, image_sources.Record]:
  """The records of some images, by name."""
  kind, _, folder = source.partition(":")
  if kind == "folder" and folder:
    return {name: _file(pathlib.Path(folder), name) for name in names}
  opened = image_sources.open(source, data_dir=data_dir)
  wanted, found = set(names), {}
  seen: set[str] = set()
  for i in progress.bar(range(len(opened)), desc="find images", unit="image"):
    record = opened[i]
    name = record.filename
    if name in seen:  # As representations name a second image of one name.
      name = image_sources.numbered(name, i)
    seen.add(name)
    if name in wanted:
      found[name] = record
    if len(found) == len(wanted):
      return found
  missing = sorted(wanted - set(found))
  raise AlignetError(
      f"{source} has no image {missing[0]!r}, nor {len(missing) - 1} others of"
      f" the {len(wanted)} to show; give the source that they were named by"
  )


def _file(folder: pathlib.Path, name: str) -> image_sources.Record:
  path = pathlib.PurePosixPath(name)
  if path.is_absolute() or ".." in path.parts:
    raise AlignetError(
        f"image {name!r}: expected a path below the folder {folder}"
    )
  try:
    content = files.read_bytes(folder / path, files.IMAGE)
  except OSError as e:
    raise AlignetError(
        f"image {name} in {folder} cannot be read: {e.strerror}; give the"
        " folder that the file names are relative to"
    ) from e
  return image_sources.Record(filename=name, image=content, ids={})


def _without_exif(content: bytes) -> bytes:
  """A JPEG or PNG without Exif and XMP; the pixels are the same bytes."""
  jpeg = content.startswith(_JPEG)
  at = len(_JPEG) - 1 if jpeg else len(_PNG)
  kept = [content[:at]]
  while at + 4 <= len(content):
    if jpeg:
      name = content[at : at + 2]
      size = 2 + int.from_bytes(content[at + 2 : at + 4])
      # Segments end where the scan starts; what is none is left as it is.
      if name[0] != 0xFF or name in (b"\xff\xff", b"\xff\xda"):
        break
    else:
      name = content[at + 4 : at + 8]
      size = 12 + int.from_bytes(content[at : at + 4])
    if name not in (b"\xff\xe1", b"eXIf"):
      kept.append(content[at : at + size])
    at += size
  return b"".join(kept) + content[at:]


def _stimulus(record: image_sources.Record, size: int | None) -> Stimulus:
  import cv2  # pylint: disable=g-import-not-at-top

  image = image_sources.pixels(record)  # What cannot be decoded is found now.
  content = record.image if isinstance(record.image, bytes) else b""
  suffix = ".jpg" if content.startswith(_JPEG) else ".png"
  h, w = image.shape[:2]
  scale = 1 if size is None else size / max(h, w)
  if scale < 1:
    image = cv2.resize(
        image,
        (max(round(w * scale), 1), max(round(h * scale), 1)),
        interpolation=cv2.INTER_AREA,
    )
  if scale < 1 or not content.startswith((_JPEG, _PNG)):
    quality = (cv2.IMWRITE_JPEG_QUALITY, 95) if suffix == ".jpg" else ()
    _, encoded = cv2.imencode(suffix, image[..., ::-1], quality)
    content = encoded.tobytes()
  else:
    content = _without_exif(content)
  return Stimulus(
      media_type="image/jpeg" if suffix == ".jpg" else "image/png",
      suffix=suffix,
      content=content,
  )
