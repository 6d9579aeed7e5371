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

Every image is transformed once (`scratch`), then each triplet takes three dot
products of rows where they lie. Row r depends on the inputs and on the r-th
triplet only; the bytes depend neither on the block size, nor on the number of
threads or processes, nor on how often the run was interrupted.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
import contextlib
import pathlib
import shutil
from typing import Any, get_args

from alignet import errors
from alignet.errors import AlignetError
from alignet.errors import DiskFullError
from alignet.io import files
from alignet.io import identities
from alignet.representations import kmeans
from alignet.representations import store as store_lib
from alignet.triplets import layout
from alignet.triplets import sampling
from alignet.triplets import similarity as similarity_lib
import numpy as np
from response_generation import answers
from response_generation import jobs as jobs_lib
from response_generation import transformed_store
from response_generation.jobs import Job
from response_generation.jobs import Response

ROWS = 2**20
"""Triplets of a shard."""


def respond(
    *,
    representations: files.Path,
    triplets: files.Path,
    out: files.Path,
    transform: files.Path | None = None,
    temperature_from: files.Path | None = None,
    similarity: similarity_lib.Kind = "dot",
    **options: Any,
) -> dict[str, Any]:
  """Answers triplets and writes an AligNet npz: `respond_all` of one file.

  Returns:
    The npz's `meta`: inputs' sha256 and meta, similarity, temperature, mean
    and target entropy in nats, number of rows, versions. Empty when only a
    part of the shards was asked for.
  """
  response = Response(
      out=out,
      transform=transform,
      temperature_from=temperature_from,
      similarity=similarity,
  )
  metas = respond_all(
      representations=representations,
      triplets=triplets,
      responses=[response],
      **options,
  )
  return metas[0] if metas else {}


def respond_all(
    *,
    representations: files.Path,
    triplets: files.Path,
    responses: Sequence[Response],
    store: transformed_store.Form = "float32",
    clusters: files.Path | None = None,
    device: answers.Device = "cpu",
    part: tuple[int, int] | None = None,
    merge: bool = False,
    rows: int = ROWS,
    workers: int | None = None,
    overwrite: bool = False,
    trust: identities.Trust = identities.NOTHING,
    compute: Callable[..., None] | None = None,
) -> list[dict[str, Any]]:
  """Answers the same triplets in several ways, in one pass over the rows.

  Unfinished work is kept in `{out}.shards/`; the same command goes on from
  there, and the folder goes when the npz is there.

  Args:
    representations: a representations directory.
    triplets: triplets.npz, `indices` (n, 3) row numbers of the representations.
    responses: what to write.
    store: form of the transformed rows, see
      `response_generation.transformed_store`; the error of the shorter ones is
      measured, and recorded in the meta.
    clusters: clusters.npz; triplets are answered in the order of their first
      image's cluster, which spares a disk where the rows exceed the memory.
      The result does not depend on it.
    device: "cpu", or "jax" for its default device, which has to hold the rows;
      sums are then taken in another order.
    part: (i, n) computes every n-th shard from the i-th on and writes no npz: n
      processes do that at a time; a last call without `part` joins the shards.
    merge: join the shards, compute none; a missing one is an error.
    rows: triplets of a shard; the result does not depend on it.
    workers: threads, all available cores if None; nor on these.
    overwrite: replace existing outputs.
    trust: what the user vouches for where the inputs do not say it.
    compute: what computes the shards, see `response_generation.beam`;
      `jobs.compute` if None.

  Returns:
    The meta of each npz; none of them where a part was asked for.

  Raises:
    OutputExistsError: an output exists and `overwrite` is false.
    AlignetError: an input is missing, damaged or does not fit the others.
    DiskFullError: the disk is full; the message says what is kept.
  """
  _check_arguments(responses, store, device, part, rows, workers)
  jobs = [Job(response) for response in responses]
  unfinished = any(job.folder.exists() for job in jobs)
  for job in jobs:
    if not (unfinished and job.out.exists()):
      files.check_output(job.out, overwrite=overwrite)

  source = store_lib.open(representations, verify=True)
  indices, triplets_meta = _read_triplets(triplets, source, trust)
  order_by = None if clusters is None else _labels(clusters, source, trust)
  common = {
      "features": source.meta["sha256"][store_lib.FEATURES],
      "filenames": source.meta["sha256"][store_lib.FILENAMES],
      "triplets": files.sha256(triplets),
  }
  earlier = set()
  for job in jobs:
    job.load(source, common, store, device, earlier, trust)
    earlier.add(job.out)

  done = {}
  for job in jobs:
    if job.out.exists() and not overwrite:
      # Killed after the npz took its name, before all work was done.
      if (meta := job.finished()) is None:
        files.check_output(job.out)
      shutil.rmtree(job.folder, ignore_errors=True)
      done[job.out] = meta
  todo = [job for job in jobs if job.out not in done]

  with _kept(todo):
    made = {}
    for job in todo:
      shared = part is not None
      job.prepare(source, len(indices), rows, shared, workers, made)
    if merge:
      jobs_lib.check_complete(todo)
    else:
      (compute or jobs_lib.compute)(todo, indices, order_by, part)
    if part is not None:
      return []
    for job in todo:
      about = {
          "triplets": triplets_meta,
          "rows": source.rows,
          "trusted": trust.meta(),
          "representations": {
              key: value
              for key, value in source.meta.items()
              if key not in ("sha256", "versions")
          },
      }
      done[job.out] = job.finish(source, indices, about, workers, done)
  return [done[job.out] for job in jobs]


@contextlib.contextmanager
def _kept(jobs: Sequence[Job]) -> Iterator[None]:
  """Adds to the error of a full disk what the next run goes on from."""
  try:
    yield
  except DiskFullError as e:
    kept = list(filter(None, (job.kept() for job in jobs)))
    if not kept:
      raise
    raise DiskFullError(
        f"{e}; it goes on from what is kept: {', '.join(kept)}"
    ) from e


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


def _read_triplets(
    path: files.Path, source: store_lib.Representations, trust: identities.Trust
) -> tuple[np.ndarray, dict[str, Any]]:
  """Triplets of a file, which must be of the images of the representations."""
  indices, meta = sampling.read(path)
  if not len(indices):
    raise AlignetError(f"{path}: expected at least one triplet, found none")
  trust.check_rows(path, meta.get("rows"), source.path, source.rows)
  n = len(source)
  if meta.get("n_images", n) != n:
    raise AlignetError(
        f"{path} was sampled over {meta['n_images']} images, the"
        f" representations are of {n}; use the ones it was sampled for"
    )
  if not isinstance(meta.get("n_images"), int):  # Else `read` has checked.
    layout.check(indices, n, what=f"indices in {path}")
  return indices, meta


def _labels(path, source, trust) -> np.ndarray:
  """(n,) cluster of each image."""
  labels = kmeans.load_for(path, source, trust)
  # Short integers are sorted by their digits, in a tenth of the time.
  return labels.astype(np.uint16) if labels.max() < 2**16 else labels


def _check_arguments(responses, store, device, part, rows, workers) -> None:
  for name, value, kind in (
      *(("similarity", r.similarity, similarity_lib.Kind) for r in responses),
      ("store", store, transformed_store.Form),
      ("device", device, answers.Device),
  ):
    errors.check_choice(name, value, get_args(kind))
  errors.check_least(1, rows=rows, workers=workers)
  if part is not None and not 0 <= part[0] < part[1]:
    raise AlignetError(
        f"part: expected i of n with 0 <= i < n, found {part[0]} of {part[1]}"
    )
  outs = [pathlib.Path(r.out) for r in responses]
  if len(set(outs)) < len(outs):
    raise AlignetError("responses: expected a file of its own for each")
