"""Representations of images: from a source and an encoder to a directory.

Images are decoded and encoded by shards of consecutive images. Shards lie in
`OUT.partial` until all are there; then they are merged and the folder becomes
`OUT`. A run that was killed goes on where it was and ends with the same bytes;
several processes, on one machine or many, may share the shards among them.
"""

from collections.abc import Iterator, Mapping
import functools
import hashlib
import json
import os
import pathlib
import shutil
from typing import Any, Literal, NamedTuple, get_args
import zipfile

from alignet import errors
from alignet.data import decode
from alignet.data import image_sources
from alignet.data.labels import Labels
from alignet.errors import AlignetError
from alignet.errors import OutputExistsError
from alignet.human import things
from alignet.io import files
from alignet.io import folders
from alignet.io import json_files
from alignet.io import parallel
from alignet.io import progress
from alignet.models.encoders import encoders
from alignet.models.vit.vision_model import VisionModel
from alignet.representations import store
import numpy as np

OnCorrupt = Literal["error", "skip"]


class Outcome(NamedTuple):
  """What a call has done.

  Attributes:
    extracted: images this call has encoded.
    missing: shards that nobody has made yet.
    skipped: image and reason, of those that could not be decoded; None until
      the shards are merged.
    images: images of the merged directory; 0 until then.
  """

  extracted: int
  missing: int
  skipped: dict[str, str] | None = None
  images: int = 0


def extract(
    model: VisionModel,
    params: Mapping[str, Any],
    images: np.ndarray,
    *,
    tap: str = "pre_logits",
    batch_size: int = 256,
) -> np.ndarray:
  """Runs a model of ours over images in memory.

  Args:
    model: the module.
    params: its parameters.
    images: (n, h, w, 3) uint8, possibly a memory map.
    tap: field of `Predictions`: pre_logits, triplet_logits or class_logits.
    batch_size: images on the device at a time.

  Returns:
    (n, d) float32.

  Raises:
    AlignetError: no images, another shape or dtype, or a tap that the model
      does not have.
  """
  files.check_array(images, "images", shape=(None, None, None, 3), kinds="u")
  if images.dtype != np.uint8 or not len(images):
    raise AlignetError(
        "expected at least one uint8 image, found"
        f" {len(images)} of dtype {images.dtype}"
    )
  encoder = encoders.FlaxEncoder(
      model,
      params,
      layer=tap,
      size=images.shape[1],
      batch_size=min(batch_size, len(images)),
  )
  starts = range(0, len(images), encoder.batch_size)
  return np.concatenate(
      [
          encoder(np.asarray(images[start : start + encoder.batch_size]))
          for start in progress.bar(starts, desc="extract", unit="batch")
      ]
  )


def to_directory(
    source: image_sources.Source,
    encoder: encoders.Encoder,
    out: files.Path,
    *,
    dtype: str = "float32",
    on_corrupt: OnCorrupt = "error",
    concepts: files.Path | None = None,
    shard_size: int = 4096,
    part: tuple[int, int] | None = None,
    merge: bool = False,
    workers: int | None = None,
    overwrite: bool = False,
) -> Outcome:
  """Extracts the representations of a source, as far as they are not there.

  Images are resized straight to the encoder's size (OpenCV, cubic), decoded in
  threads while the network works. The bytes written do not depend on `workers`,
  nor on who made which shard.

  Args:
    source: the images.
    encoder: the network.
    out: directory of representations; a finished one of the same images,
      network and settings is left as it is.
    dtype: float32 or float16.
    on_corrupt: "error", or "skip" to leave out images that cannot be decoded.
      The rows then are no longer the source's indices: later stages that read
      images go by file name and refuse what does not fit.
    concepts: THINGS' `concepts.tsv`: adds the label level "concept".
    shard_size: images of a shard.
    part: (i, n) makes every n-th shard from the i-th on and does not merge;
      None for all, and the merge.
    merge: make no shard, merge; a missing one is an error.
    workers: threads, all available cores if None.
    overwrite: replace another directory of representations, and discard the
      shards of another extraction to `out`.

  Returns:
    What was done.

  Raises:
    OutputExistsError: `out` holds something else and `overwrite` is false.
    AlignetError: no images, one that cannot be decoded, values that are not
      finite, a disk that is full, shards of other settings in `OUT.partial`.
  """
  _check(dtype, on_corrupt, shard_size)
  if concepts is not None:
    things.read_concepts(concepts)  # A mistake there shows before the work.
  out = pathlib.Path(out)
  n = len(source)
  if n < 1:
    raise AlignetError("expected at least one image in the source, found none")
  plan = {
      **encoders.meta_of(encoder),
      **source.meta,
      "n": n,
      "batch_size": encoder.batch_size,
      "dtype": dtype,
      "on_corrupt": on_corrupt,
      "concepts_sha256": files.sha256(concepts) if concepts else None,
      "shard_size": shard_size,
      "versions": files.versions(),
  }
  # As meta.json gives it back: a tuple of a model's description is a list.
  plan = json.loads(json.dumps(plan))
  partial = out.with_name(out.name + ".partial")
  done = _finished(out, plan)
  if done is not None:
    shutil.rmtree(partial, ignore_errors=True)
    return done
  if out.exists() and not overwrite:
    raise OutputExistsError(
        f"{out} already exists and was made with other settings or from other"
        " images; choose another path or pass --overwrite (overwrite=True)"
    )
  folders.begin(partial, plan, what="extraction", overwrite=overwrite)
  total = -(-n // shard_size)
  first, step = part or (0, 1)
  if not 0 <= first < step:
    raise AlignetError(
        f"part: expected i of n with 0 <= i < n, found {first} of {step}"
    )
  extracted = 0
  if not merge:
    numbers = range(first, total, step)
    wanted = [i for i in numbers if not _is_whole(_shard(partial, i))]
    extracted = _make(
        source, encoder, partial, wanted, shard_size, dtype, on_corrupt, workers
    )
  check = _is_whole if merge else pathlib.Path.exists
  missing = [i for i in range(total) if not check(_shard(partial, i))]
  if missing and merge:
    raise AlignetError(
        f"{len(missing)} of {total} shards in {partial} are missing, the first"
        f" is {missing[0]}; make them with --part, or all without --merge"
    )
  if missing or (part and not merge):
    return Outcome(extracted, len(missing))
  _merge(source, partial, out, total, plan, concepts)
  return _finished(out, plan)._replace(extracted=extracted)


def remarks(directory: files.Path) -> list[str]:
  """What looks wrong in representations, a sentence each.

  Equal rows come of an image that is there twice, or of a network that sees no
  difference. Constant columns say nothing.
  """
  opened = store.open(directory)
  if len(opened) < 2:
    return []
  first = np.asarray(opened.features[0])
  constant = np.ones(len(first), bool)
  seen, repeated, number = {}, [], 0
  for rows in files.row_blocks(opened.features):
    constant &= (rows == first).all(axis=0)
    for row in rows:
      digest = hashlib.blake2b(row.tobytes(), digest_size=16).digest()
      if (other := seen.setdefault(digest, number)) != number:
        repeated.append((other, number))
      number += 1
  found = []
  if constant.all():
    found.append("all features are equal: the network sees no difference")
  elif constant.any():
    found.append(f"{constant.sum()} of {len(first)} columns are constant")
  if repeated and not constant.all():
    a, b = (str(opened.filenames[i]) for i in repeated[0])
    found.append(
        f"{len(repeated)} images have the features of one before them, first"
        f" {b}, those of {a}"
    )
  return found


def _check(dtype: str, on_corrupt: str, shard_size: int) -> None:
  errors.check_choice("dtype", dtype, ("float32", "float16"))
  errors.check_choice("on_corrupt", on_corrupt, get_args(OnCorrupt))
  errors.check_least(1, shard_size=shard_size)


def _finished(out: pathlib.Path, plan: Mapping[str, Any]) -> Outcome | None:
  """What lies in `out`, if this very plan has made it."""
  if not (out / store.META).is_file():
    return None
  meta = store.open(out).meta
  if any(meta.get(key) != value for key, value in plan.items()):
    return None
  return Outcome(0, 0, meta["skipped"], meta["shape"][0])


def _is_whole(path: pathlib.Path) -> bool:
  """Whether a shard is there as it was written; a damaged one goes."""
  try:
    with zipfile.ZipFile(path) as archive:
      if archive.testzip() is None:
        return True
  except FileNotFoundError:
    return False
  except files.BROKEN:
    pass
  path.unlink()
  return False


def _shard(partial: pathlib.Path, i: int) -> pathlib.Path:
  return partial / f"shard-{i:06d}.npz"


def _make(
    source, encoder, partial, wanted, shard_size, dtype, on_corrupt, workers
) -> int:
  """Makes the shards that are wanted; returns the number of images."""
  n, size = len(source), encoder.batch_size
  batches = []
  for shard in wanted:
    start, stop = shard * shard_size, min((shard + 1) * shard_size, n)
    batches += [
        (shard, i, min(i + size, stop)) for i in range(start, stop, size)
    ]
  # Decoding is done in threads; so is encoding, if it is meant to.
  encode = _encode if encoder.parallel else _decode
  parts, extracted = [], 0

  def work(batch):
    shard, start, stop = batch
    return shard, stop, encode(encoder, source, start, stop, on_corrupt)

  bar = progress.bar(
      desc="extract", total=sum(b - a for _, a, b in batches), unit="image"
  )
  with bar, decode.single_threaded():
    for shard, stop, part in parallel.ordered_map(
        work, batches, workers=workers
    ):
      if not encoder.parallel:
        part = _features(encoder, part)
      part["features"] = _cast(part, dtype)
      parts.append(part)
      bar.update(len(part["filenames"]))
      if stop == min((shard + 1) * shard_size, n):
        _save(_shard(partial, shard), parts)
        extracted += sum(len(part["rows"]) for part in parts)
        parts = []
  return extracted


def _decode(encoder, source, start, stop, on_corrupt) -> dict[str, Any]:
  """Records of a batch, with their pixels."""
  kept, images, skipped = [], [], {}
  for i in range(start, stop):
    record = source[i]
    try:
      images.append(image_sources.pixels(record, encoder.size))
    except AlignetError as e:
      if on_corrupt == "error":
        raise AlignetError(
            f"{e} (--on_corrupt=skip leaves such images out)"
        ) from e
      skipped[record.filename] = str(e)
      continue
    kept.append((i, record))
  shape = (0, encoder.size, encoder.size, 3)
  return {
      "images": np.stack(images) if images else np.zeros(shape, np.uint8),
      "rows": np.array([i for i, _ in kept], np.int64),
      "filenames": np.array([r.filename for _, r in kept], np.str_),
      "skipped": skipped,
      **{
          f"ids_{level}": np.array([r.ids[level] for _, r in kept], np.int32)
          for level in source.levels
      },
  }


def _encode(encoder, source, start, stop, on_corrupt) -> dict[str, Any]:
  part = _decode(encoder, source, start, stop, on_corrupt)
  return _features(encoder, part)


def _features(encoder, part) -> dict[str, Any]:
  images = part.pop("images")
  part["features"] = encoder(images) if len(images) else None
  return part


def _cast(part, dtype) -> np.ndarray | None:
  """The features in the dtype wanted, all finite."""
  if part["features"] is None:
    return None
  features = part["features"]
  with np.errstate(over="ignore"):
    cast = features.astype(dtype)
  finite = np.isfinite(cast).all(axis=1)
  if not finite.all():
    i = int(np.argmin(finite))
    what = "in float16; use float32" if np.isfinite(features[i]).all() else ""
    raise AlignetError(
        f"image {part['filenames'][i]} has representations that are not finite"
        f" {what}".rstrip()
    )
  return cast


def _save(path: pathlib.Path, parts: list[dict[str, Any]]) -> None:
  skipped = {}
  for part in parts:
    skipped |= part.pop("skipped")
  arrays = {
      key: np.concatenate(found)
      for key in parts[0]
      if (found := [p[key] for p in parts if p[key] is not None])
  }
  files.save_npz(
      path, {**arrays, "skipped": json_files.array(skipped)}, overwrite=True
  )


def _merge(source, partial, out, total, plan, concepts) -> None:
  """Joins the shards; `out` appears whole."""
  paths = [_shard(partial, i) for i in range(total)]
  rows, filenames, ids, skipped, width = [], [], {}, {}, None
  for path in paths:
    with files.open_npz(path, required=("rows", "filenames")) as shard:
      member = functools.partial(files.read_member, shard, path=path)
      rows.append(member("rows"))
      filenames.append(member("filenames"))
      for level in source.levels:
        ids.setdefault(level, []).append(member(f"ids_{level}"))
      skipped |= json_files.parse_array(member("skipped"), f"{path}")
      if width is None and len(rows[-1]):
        width = member("features").shape[1]
  n = sum(map(len, rows))
  if not n:
    raise AlignetError("none of the images could be decoded")
  labels = {
      level: Labels(ids=np.concatenate(ids[level]), names=np.asarray(names))
      for level, names in source.levels.items()
  }
  if concepts is not None:
    labels = things.label(labels, things.read_concepts(concepts))
  merged = partial / "merged"
  store.write(
      merged,
      files.Blocks((n, width), np.dtype(plan["dtype"]), _blocks(paths, width)),
      image_sources.distinct(np.concatenate(filenames), np.concatenate(rows)),
      labels,
      {**plan, "skipped": skipped},
      overwrite=True,
  )
  if out.exists():
    shutil.rmtree(out)
  os.replace(merged, out)
  shutil.rmtree(partial, ignore_errors=True)


def _blocks(paths: list[pathlib.Path], width: int) -> Iterator[np.ndarray]:
  for path in progress.bar(paths, desc="merge", unit="shard"):
    with files.open_npz(path, required=("rows",)) as shard:
      if not len(shard["rows"]):
        continue
      features = files.read_member(shard, "features", path)
    yield files.check_array(
        features, f"features in {path}", shape=(None, width), kinds="f"
    )
