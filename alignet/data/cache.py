"""An image store made from a source: every image decoded and resized once.

Pixels are appended to one file, block by block, in `OUT.partial`, which becomes
`OUT` when all are there: no second copy is ever made of them, and a run that
was killed goes on behind its last whole block, to the same bytes.
"""

import hashlib
import io
import json
import os
import pathlib
import shutil

from alignet import errors
from alignet.data import decode
from alignet.data import image_sources
from alignet.data import images as images_lib
from alignet.data import labels as labels_lib
from alignet.errors import AlignetError
from alignet.errors import OutputExistsError
from alignet.io import files
from alignet.io import folders
from alignet.io import json_files
from alignet.io import locks
from alignet.io import parallel
from alignet.io import progress
import numpy as np

CHECKSUMS = "checksums.json"
"""{"block": images a block, "sha256": one of each block's pixels}."""

BLOCK = 256
"""Images that are written, and checksummed, together: 38 MB at 224 pixels."""

_REPLACED = ("images.npy", "filenames.npy", "labels.npz", CHECKSUMS)
_BLOCKS, _LOCK = "blocks", "lock"


def build(
    source: image_sources.Source,
    out: files.Path,
    *,
    size: int,
    block: int = BLOCK,
    workers: int | None = None,
    overwrite: bool = False,
) -> int:
  """Makes an image store, as far as it is not there.

  Images keep their numbers in the source, so none can be left out: triplets
  refer to them by number.

  Args:
    source: the images.
    out: folder of the store; a finished one of the same images and size is left
      as it is.
    size: images are resized straight to size x size pixels (OpenCV, cubic).
    block: images of a block.
    workers: threads that decode, all available cores if None; the bytes written
      do not depend on it.
    overwrite: replace another store, and discard the beginning of another one.

  Returns:
    The number of images this call has decoded.

  Raises:
    OutputExistsError: `out` holds something else and `overwrite` is false.
    AlignetError: no images, one that cannot be decoded, a disk that is full or
      will be, the beginning of another store in `OUT.partial`.
  """
  errors.check_least(1, size=size)
  out, n = pathlib.Path(out), len(source)
  errors.check_least(1, images=n, block=block)
  plan = {
      **source.meta,
      "n": n,
      "decode": "OpenCV, RGB",
      "resize": f"OpenCV cubic, {size} x {size}",
      "background": decode.BACKGROUND,
      "block": block,
      "versions": {k: v for k, v in files.versions().items() if "opencv" in k},
  }
  plan = json.loads(json.dumps(plan))  # As the file gives it back.
  if (out / "meta.json").is_file():
    meta = json_files.read(out / "meta.json")
    if all(meta.get(key) == value for key, value in plan.items()):
      _clean(out)
      return 0
  if out.exists() and not overwrite:
    raise OutputExistsError(
        f"{out} already exists and was made with other settings or from other"
        " images; choose another path or pass --overwrite (overwrite=True)"
    )
  folders.check(out, "meta.json", "{", _REPLACED, overwrite=overwrite)
  partial = out.with_name(out.name + ".partial")
  with locks.held(partial / _LOCK):
    folders.begin(
        partial, plan, what="store", beside=(_LOCK,), overwrite=overwrite
    )
    made = _append(source, partial, size, block, workers)
    _finish(source, partial, plan, block)
    if out.exists():
      if not overwrite:
        raise OutputExistsError(
            f"{out} was made by another process meanwhile; delete {partial}"
        )
      shutil.rmtree(out)
    os.replace(partial, out)
  _clean(out)
  return made


def verify(path: files.Path) -> int:
  """Reads all pixels of a store made here and compares their checksums.

  Returns:
    The number of images.

  Raises:
    AlignetError: a block that is not as it was written, or a store without
      checksums.
  """
  images = images_lib.open_store(path).images
  known = json_files.read(pathlib.Path(path) / CHECKSUMS)
  block, expected = known["block"], known["sha256"]
  starts = range(0, len(images), block)
  found = parallel.ordered_map(
      lambda start: _sha256(images[start : start + block]), starts
  )
  bar = progress.bar(found, desc="verify", total=len(starts), unit="block")
  for start, sha256, wanted in zip(starts, bar, expected, strict=True):
    if sha256 != wanted:
      raise AlignetError(
          f"{path}: images {start} to {min(start + block, len(images)) - 1} are"
          " not as they were written; make the store again"
      )
  return len(images)


def _block(partial: pathlib.Path, i: int) -> pathlib.Path:
  return partial / _BLOCKS / f"{i:06d}.npz"


def _append(source, partial, size, block, workers) -> int:
  """Writes the blocks that are missing; returns the number of images."""
  n, image = len(source), size * size * 3
  starts = range(0, n, block)
  done = 0
  while done < len(starts) and _block(partial, done).exists():
    done += 1
  left = n - min(done * block, n)
  head = _header((n, size, size, 3))
  end = len(head) + (n - left) * image
  path = partial / "images.npy"

  def work(start: int) -> dict[str, np.ndarray]:
    kept = [source[i] for i in range(start, min(start + block, n))]
    return {
        "images": np.stack(
            [image_sources.pixels(record, size) for record in kept]
        ),
        "filenames": np.array([r.filename for r in kept], np.str_),
        **{
            f"ids_{level}": np.array([r.ids[level] for r in kept], np.int32)
            for level in source.levels
        },
    }

  bar = progress.bar(desc="decode", total=left, unit="image")
  with (
      files.clear_disk_full(path, "whole blocks are kept"),
      open(path, "ab") as f,
      bar,
  ):
    if done and os.fstat(f.fileno()).st_size < end:
      raise AlignetError(
          f"{path} is shorter than its {done} blocks; remove {partial} and"
          " begin again"
      )
    # What was written of a block that was not finished is cut off.
    f.truncate(end if done else 0)
    files.check_space(path, left * image)
    if not done:
      f.write(head)
    with decode.single_threaded():
      made = parallel.ordered_map(work, starts[done:], workers=workers)
      for i, part in enumerate(made, start=done):
        images = part.pop("images")
        f.write(images)
        f.flush()
        os.fsync(f.fileno())
        # The block counts from here on: its pixels are on the disk.
        part["sha256"] = np.array(_sha256(images))
        files.save_npz(_block(partial, i), part, overwrite=True)
        bar.update(len(images))
  return left


def _header(shape: tuple[int, ...]) -> bytes:
  """What an npy file of uint8 begins with."""
  head = io.BytesIO()
  np.lib.format.write_array_header_1_0(
      head, {"descr": "|u1", "fortran_order": False, "shape": shape}
  )
  return head.getvalue()


def _sha256(images: np.ndarray) -> str:
  return hashlib.sha256(np.ascontiguousarray(images)).hexdigest()


def _finish(source, partial, plan, block) -> None:
  """Writes all but the pixels, which are there."""
  filenames, ids, sha256 = [], {}, []
  for i in range(-(-plan["n"] // block)):
    part = files.load_npz(_block(partial, i), required=("filenames", "sha256"))
    filenames.append(part["filenames"])
    sha256.append(str(part["sha256"]))
    for level in source.levels:
      ids.setdefault(level, []).append(part[f"ids_{level}"])
  names = image_sources.distinct(np.concatenate(filenames), range(plan["n"]))
  labels = {
      level: labels_lib.Labels(
          ids=np.concatenate(ids[level]), names=np.asarray(names_of_classes)
      )
      for level, names_of_classes in source.levels.items()
  }
  files.save_npy(partial / "filenames.npy", names, overwrite=True)
  labels_lib.write_labels(partial / "labels.npz", labels, overwrite=True)
  checksums = {"block": block, "sha256": sha256}
  json_files.write(partial / CHECKSUMS, checksums, overwrite=True)
  json_files.write(partial / "meta.json", dict(plan), overwrite=True)


def _clean(out: pathlib.Path) -> None:
  """Removes what only an unfinished store needs."""
  shutil.rmtree(out / _BLOCKS, ignore_errors=True)
  for name in (folders.PLAN, _LOCK):
    (out / name).unlink(missing_ok=True)
