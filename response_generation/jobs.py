"""One file of responses on its way: inputs, rows, shards, result."""

from collections.abc import Mapping, Sequence
import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
from typing import Any

from alignet import transforms
from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import progress
from alignet.triplets import npz
from alignet.triplets import similarity as similarity_lib
import numpy as np
from response_generation import answers
from response_generation import temperature as temperature_lib
from response_generation import transformed_store
from response_generation.shards import Shards

VERSION = 2
"""Raised when the same inputs come to mean other responses."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Response:
  """One file of responses to triplets.

  Attributes:
    out: the AligNet npz to write.
    transform: transform.npz of the teacher; None for raw representations.
    temperature_from: an AligNet npz, also one that an earlier response of the
      same call writes; the similarities are divided by the one temperature at
      which their mean entropy is that of this file.
    similarity: "dot", the trained measure, or "cosine".
  """

  out: files.Path
  transform: files.Path | None = None
  temperature_from: files.Path | None = None
  similarity: similarity_lib.Kind = "dot"


class Job:
  """A response on its way: inputs, rows to multiply, shards."""

  def __init__(self, response: Response):
    self.response = response
    self.out = pathlib.Path(response.out)
    self.folder = self.out.with_name(f"{self.out.name}.shards")
    self.shards = None  # Until `prepare`.

  def load(self, source, common, store, device, earlier, trust) -> None:
    """Reads the small inputs; refuses those that do not fit."""
    r = self.response
    self.teacher = transforms.load_for(
        r.transform, source.path, source.columns, trust
    )
    if self.teacher is not None:
      self.teacher(source.features[:1])  # Refuses other widths before work.
    self._target = None
    if r.temperature_from is not None:
      if pathlib.Path(r.temperature_from) not in earlier:
        self._target = temperature_lib.target_entropy(r.temperature_from)
    self._inputs = {**common, "transform": _sha256(r.transform)}
    self._how = {"version": VERSION, "similarity": r.similarity}
    self._how |= {"store": store, "device": device}
    self.device = device

  def what(self) -> dict[str, Any]:
    """All that the result depends on."""
    # An earlier response of the same call is there only now.
    temperature_from = _sha256(self.response.temperature_from)
    inputs = {**self._inputs, "temperature_from": temperature_from}
    return {**self._how, "inputs": inputs}

  def finished(self) -> dict[str, Any] | None:
    """The meta of `out`, if it is the result of these inputs."""
    source = self.response.temperature_from
    if source is not None and not pathlib.Path(source).exists():
      return None  # An earlier response of this call has yet to write it.
    try:
      meta = npz.open(self.out).meta
    except AlignetError:
      return None
    same = all(meta.get(key) == value for key, value in self.what().items())
    return meta if same else None

  def prepare(self, source, n, rows, shared, workers, made) -> None:
    """Makes the shards' folder and the rows; equal rows once, in `made`."""
    content = {**self._how, **self._inputs}
    self.shards = Shards(
        folder=self.folder,
        n=n,
        rows=rows,
        fingerprint=_fingerprint({**content, "rows": rows}),
    )
    key = _fingerprint({k: v for k, v in content.items() if k != "triplets"})
    with self.shards.prepared():
      if key not in made:
        z = transformed_store.make(
            source.features,
            self.teacher,
            self.response.similarity,
            self._how["store"],
            self.folder,
            inputs=key,
            shared=shared,
            workers=workers,
        )
        made[key] = z, answers.answerer(z, self.device, workers)
    self.rows, answer = made[key]
    self.task = answers.Task(shards=self.shards, answer=answer)

  def kept(self) -> str:
    """What a next run goes on from, in words; "" for nothing."""
    if self.shards is None:
      return ""
    shards = len(list(self.folder.glob("[0-9]*.npz")))
    parts = [f"{shards} of {self.shards.count} shards"] if shards else []
    if list(self.folder.glob("transformed-*.npy")):
      parts.insert(0, "the transformed images")
    return f"{self.folder} ({' and '.join(parts)})" if parts else ""

  def finish(self, source, indices, about, workers, done) -> dict[str, Any]:
    """Joins the shards, finds the temperature, writes the npz.

    `done` holds the metas of this call's earlier responses by path.
    """
    r, how = self.response, self._how
    similarities = self.shards.join()
    error = None
    if how["store"] != "float32":
      error = transformed_store.error(
          similarities, indices, source.features, self.teacher, r.similarity
      )
    target, temperature = self._target, 1.0
    if r.temperature_from is not None:
      if target is None:
        target = done[pathlib.Path(r.temperature_from)]["mean_entropy"]
      temperature = temperature_lib.match(similarities, target)
      similarities = self.shards.join(divide_by=temperature)
    meta = {
        **self.what(),
        "n": len(indices),
        "store_error": error,
        "temperature": temperature,
        "mean_entropy": temperature_lib.mean_entropy(similarities),
        "target_entropy": target,
        "transform": None if self.teacher is None else dict(self.teacher.meta),
        **about,
        "versions": files.versions(),
    }
    # Written inside the work folder: a killed run leaves nothing outside.
    result = self.folder / "result.npz"
    npz.write(
        result,
        source.filenames,
        indices,
        similarities,
        meta=meta,
        overwrite=True,
        workers=workers,
    )
    os.replace(result, self.out)
    shutil.rmtree(self.folder)
    return meta


def compute(
    jobs: Sequence[Job],
    indices: np.ndarray,
    order_by: np.ndarray | None,
    part: tuple[int, int] | None,
) -> None:
  """Computes the shards that are missing, those of the same rows together.

  Args:
    jobs: prepared ones over the same rows.
    indices: (n, 3) row numbers.
    order_by: (images,) integers to sort rows by, for their first image.
    part: (i, n): every n-th shard from the i-th on; None for all.

  Raises:
    AlignetError: a similarity that is not finite.
  """
  tasks = [job.task for job in jobs]
  for number in progress.bar(
      numbers(jobs, part), desc="responses", unit="shard"
  ):
    answers.answer_shard(number, tasks, indices, order_by)


def numbers(jobs: Sequence[Job], part: tuple[int, int] | None) -> range:
  """The shards of a part, whether they are there or not."""
  if not jobs:
    return range(0)
  first, step = part or (0, 1)
  return range(first, jobs[0].shards.count, step)


def check_complete(jobs: Sequence[Job]) -> None:
  """Fails where a shard is missing."""
  for job in jobs:
    missing = [n for n in range(job.shards.count) if not job.shards.has(n)]
    if missing:
      raise AlignetError(
          f"{len(missing)} of {job.shards.count} shards in {job.folder} are"
          f" missing, the first is {missing[0]}; compute them with --part, or"
          " all without --merge"
      )


def _fingerprint(value: Mapping[str, Any]) -> str:
  return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _sha256(path: files.Path | None) -> str | None:
  return None if path is None else files.sha256(path)
