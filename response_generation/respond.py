"""From representations, triplets and a transform to an AligNet npz.

Each row of the result is a triplet of images, its three similarities

    s_ab = f(x_a) . f(x_b),   f the teacher's transform,

and the images' file names, in canonical order: softmax of a row is the
teacher's answer to "which pair is the most similar one" (Muttenthaler et al.
2025). Three kinds of responses differ only in what is passed:

    aligned                a transform
    untransformed          none: raw dot products, the control of the release
    untransformed-matched  none, and an AligNet npz whose mean target entropy
                           is met by dividing the raw similarities by one number

Row r depends on the inputs and on the r-th triplet only; the bytes depend
neither on the block size, nor on the number of threads, nor on how often the
run was interrupted.
"""

from collections.abc import Mapping
import hashlib
import json
import os
import pathlib
import shutil
from typing import Any, get_args

from alignet import files
from alignet import progress
from alignet import sampling
from alignet import similarity as similarity_lib
from alignet import transforms
from alignet import triplet_io
from alignet import triplets as triplets_lib
from alignet.errors import AlignetError
from alignet.representations import blocks
from alignet.representations import store
import numpy as np
from response_generation import shards
from response_generation import temperature as temperature_lib

VERSION = 1
"""Raised when the same inputs come to mean other responses."""

ROWS = 65536
"""Triplets of a shard."""

# Bytes up to which transformed representations are kept in memory.
_SMALL = 2**28


def respond(
    *,
    representations: files.Path,
    triplets: files.Path,
    out: files.Path,
    transform: files.Path | None = None,
    temperature_from: files.Path | None = None,
    similarity: similarity_lib.Kind = "dot",
    rows: int = ROWS,
    workers: int | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
  """Answers triplets and writes an AligNet npz.

  Unfinished work is kept in `{out}.shards/`; the same command goes on from
  there, and the folder goes when the npz is there.

  Args:
    representations: a representations directory.
    triplets: triplets.npz, `indices` (n, 3) row numbers of the representations.
    out: the AligNet npz to write.
    transform: transform.npz of the teacher; None for raw representations.
    temperature_from: an AligNet npz; the similarities are divided by the one
      temperature at which their mean entropy is that of this file.
    similarity: "dot", the trained measure, or "cosine".
    rows: triplets of a shard; the result does not depend on it.
    workers: threads, all available cores if None; nor on these.
    overwrite: replace an existing output.

  Returns:
    The npz's `meta`: inputs' sha256 and meta, similarity, temperature, mean
    and target entropy in nats, number of rows, versions.

  Raises:
    OutputExistsError: the output exists and `overwrite` is false.
    AlignetError: an input is missing, damaged or does not fit the others.
  """
  out = pathlib.Path(out)
  folder = out.with_name(f"{out.name}.shards")
  unfinished = out.exists() and folder.exists()
  if not unfinished:
    files.check_output(out, overwrite=overwrite)
  _check_arguments(similarity, rows, workers)

  source = store.open(representations, verify=True)
  indices, triplets_meta = _read_triplets(triplets, len(source))
  teacher = None if transform is None else transforms.load(transform)
  if teacher is not None:
    teacher(source.features[:1])  # Refuses other widths before work begins.
  target = None
  if temperature_from is not None:
    target = temperature_lib.target_entropy(temperature_from)
  what = {
      "version": VERSION,
      "inputs": {
          "features": source.meta["sha256"][store.FEATURES],
          "filenames": source.meta["sha256"][store.FILENAMES],
          "triplets": files.sha256(triplets),
          "transform": _sha256(transform),
          "temperature_from": _sha256(temperature_from),
      },
      "similarity": similarity,
  }
  if unfinished and not overwrite:
    # Killed after the npz took its name, before the work folder was removed.
    if (meta := _finished(out, what)) is not None:
      shutil.rmtree(folder)
      return meta
    files.check_output(out)

  fingerprint = _fingerprint({**what, "rows": rows})
  shards.prepare(folder, fingerprint)
  features = _transform_all(source.features, teacher, folder, workers)

  def answer(where: slice) -> np.ndarray:
    block = indices[where]
    s = similarity_lib.of_triplets(features, block, similarity)
    _check_similarities(s, block, where.start)
    return s

  similarities = shards.compute(
      folder,
      len(indices),
      answer,
      rows=rows,
      fingerprint=fingerprint,
      workers=workers,
  )
  temperature = 1.0
  if target is not None:
    temperature = temperature_lib.match(similarities, target)
    similarities /= temperature
  meta = {
      **what,
      "n": len(indices),
      "temperature": temperature,
      "mean_entropy": temperature_lib.mean_entropy(similarities),
      "target_entropy": target,
      "triplets": triplets_meta,
      "transform": None if teacher is None else dict(teacher.meta),
      "representations": {
          key: value
          for key, value in source.meta.items()
          if key not in ("sha256", "versions")
      },
      "versions": files.versions(),
  }
  # Written inside the work folder, so that a killed run leaves nothing outside.
  result = folder / "result.npz"
  triplet_io.write(
      result,
      source.filenames,
      indices,
      similarities,
      meta=meta,
      overwrite=True,
  )
  os.replace(result, out)
  shutil.rmtree(folder)
  return meta


def summary(out: files.Path, meta: Mapping[str, Any]) -> str:
  """One line about a result: what it is and its mean target entropy."""
  name = "untransformed" if meta["inputs"]["transform"] is None else "aligned"
  divided = (
      f" divided by {meta['temperature']}"
      if meta["inputs"]["temperature_from"]
      else ""
  )
  return (
      f"{out}: {meta['n']} triplets, {name} {meta['similarity']}"
      f" similarities{divided}, mean target entropy"
      f" {meta['mean_entropy']:.4f} nats"
  )


def _transform_all(
    features: np.ndarray,
    teacher: transforms.Transform | None,
    folder: pathlib.Path,
    workers: int | None,
) -> np.ndarray:
  """Every image transformed once: in memory if small, else mapped from disk.

  Without a teacher, float16 becomes float32: once, not at every triplet.
  """
  if teacher is None and features.dtype == np.float32:
    return features
  width = features.shape[1] if teacher is None else teacher.weights.shape[1]
  shape = (len(features), width)
  walk = blocks.transformed(features, teacher, workers=workers)
  walk = progress.bar(
      walk,
      desc="transforming",
      total=-(-shape[0] // blocks.ROWS),
      unit="block",
  )
  if 4 * shape[0] * shape[1] <= _SMALL:
    out = np.empty(shape, np.float32)
    for rows, block in walk:
      out[rows] = block
    return out
  path = folder / "transformed.npy"
  if not path.exists():
    with files.atomic_write(path) as f:
      dtype = np.dtype(np.float32)
      files.write_array(f, shape, dtype, (block for _, block in walk))
  return files.load_npy(path, shape=shape, kinds="f", mmap=True)


def _read_triplets(
    path: files.Path, n: int
) -> tuple[np.ndarray, dict[str, Any]]:
  """Triplets of a file, checked against the number of images."""
  indices, meta = sampling.read(path)
  if not len(indices):
    raise AlignetError(f"{path}: expected at least one triplet, found none")
  if meta.get("n_images", n) != n:
    raise AlignetError(
        f"{path} was sampled over {meta['n_images']} images, the"
        f" representations are of {n}; use the ones it was sampled for"
    )
  triplets_lib.check(indices, n, what=f"indices in {path}")
  return indices, meta


def _check_arguments(similarity: str, rows: int, workers: int | None) -> None:
  if similarity not in get_args(similarity_lib.Kind):
    raise AlignetError(
        "similarity: expected one of"
        f" {', '.join(get_args(similarity_lib.Kind))}, found {similarity!r}"
    )
  for name, value in (("rows", rows), ("workers", workers)):
    if value is not None and value < 1:
      raise AlignetError(f"{name}: expected at least 1, found {value}")


def _check_similarities(
    s: np.ndarray, triplets: np.ndarray, first: int
) -> None:
  finite = np.isfinite(s).all(axis=1)
  if not finite.all():
    row = int(np.argmin(finite))
    raise AlignetError(
        f"triplet {first + row} (images {triplets[row].tolist()}): a similarity"
        " overflows; expected representations whose dot products are finite in"
        " float32"
    )


def _finished(
    out: pathlib.Path, what: Mapping[str, Any]
) -> dict[str, Any] | None:
  """The meta of `out`, if it is the result of these inputs."""
  try:
    meta = triplet_io.open(out).meta
  except AlignetError:
    return None
  same = all(meta.get(key) == value for key, value in what.items())
  return meta if same else None


def _fingerprint(value: Mapping[str, Any]) -> str:
  return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _sha256(path: files.Path | None) -> str | None:
  return None if path is None else files.sha256(path)
