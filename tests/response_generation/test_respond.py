import dataclasses
import json

from alignet import transforms
from alignet.data import labels as labels_lib
from alignet.errors import AlignetError
from alignet.errors import OutputExistsError
from alignet.io import files
from alignet.io import identities
from alignet.io import json_files
from alignet.representations import store
from alignet.triplets import layout
from alignet.triplets import npz
import numpy as np
import pytest
from response_generation import respond
from response_generation import temperature
from response_generation import transformed_store
from tests.response_generation import conftest
from tests.response_generation import reference


@pytest.mark.parametrize("similarity", ["dot", "cosine"])
def test_aligned_equals_the_formula(world, tmp_path, similarity):
  out = tmp_path / "out" / "train.npz"
  meta = respond.respond(
      **world.inputs, transform=world.transform, similarity=similarity, out=out
  )
  t = world.teacher
  z = ((world.features.astype(np.float64) - 0.25) / 2) @ t.weights.astype(
      np.float64
  ) + t.bias
  reference.check(
      out, reference.formula(z, world.indices, similarity), world.names
  )
  assert [p.name for p in out.parent.iterdir()] == ["train.npz"]
  assert meta["temperature"] == 1.0
  assert meta["similarity"] == similarity


@pytest.mark.parametrize("similarity", ["dot", "cosine"])
def test_untransformed_equals_the_formula(world, tmp_path, similarity):
  out = tmp_path / "u.npz"
  respond.respond(**world.inputs, similarity=similarity, out=out)
  reference.check(
      out,
      reference.formula(world.features, world.indices, similarity),
      world.names,
  )


def test_meta_names_the_inputs(world, tmp_path):
  out = tmp_path / "x.npz"
  meta = respond.respond(**world.inputs, transform=world.transform, out=out)
  assert npz.open(out).meta == meta
  assert meta["inputs"] == {
      "features": files.sha256(world.representations / "features.npy"),
      "filenames": files.sha256(world.representations / "filenames.npy"),
      "triplets": files.sha256(world.triplets),
      "transform": files.sha256(world.transform),
      "temperature_from": None,
  }
  assert meta["triplets"]["seed"] == 3
  assert meta["transform"] == {"seed": 11, "columns": conftest.COLUMNS}
  assert meta["representations"]["layer"] == "pooled"
  assert str(tmp_path) not in json.dumps(meta)
  s = npz.open(out).similarities.astype(np.float64)
  p = np.exp(s) / np.exp(s).sum(1, keepdims=True)
  assert meta["mean_entropy"] == pytest.approx(-(p * np.log(p)).sum(1).mean())


def test_matched_has_the_entropy_of_aligned(world, tmp_path):
  aligned, matched = tmp_path / "a.npz", tmp_path / "m.npz"
  respond.respond(**world.inputs, transform=world.transform, out=aligned)
  meta = respond.respond(**world.inputs, temperature_from=aligned, out=matched)

  def entropy(path):
    s = npz.open(path).similarities.astype(np.float64)
    log_p = s - np.log(np.exp(s).sum(1, keepdims=True))
    return -(np.exp(log_p) * log_p).sum(1).mean()

  assert entropy(matched) == pytest.approx(entropy(aligned), abs=1e-6)
  assert meta["target_entropy"] == pytest.approx(entropy(aligned), abs=1e-9)
  assert meta["inputs"]["temperature_from"] == files.sha256(aligned)
  t = meta["temperature"]
  assert t > 1
  scaled = [
      {pair: s / t for pair, s in row.items()}
      for row in reference.formula(world.features, world.indices)
  ]
  reference.check(matched, scaled, world.names)


def test_the_target_is_walked_once_or_known(world, tmp_path, monkeypatch):
  real, walks = temperature.target_entropy, []

  def target_entropy(path):
    walks.append(path)
    return real(path)

  monkeypatch.setattr(temperature, "target_entropy", target_entropy)
  aligned, matched = tmp_path / "a.npz", tmp_path / "m.npz"
  responses = [
      respond.Response(out=aligned, transform=world.transform),
      respond.Response(out=matched, temperature_from=aligned),
  ]
  _, together = respond.respond_all(**world.inputs, responses=responses)
  assert not walks
  assert together["target_entropy"] == real(aligned)
  alone = respond.respond(
      **world.inputs, temperature_from=aligned, out=tmp_path / "again.npz"
  )
  assert walks == [aligned]
  assert alone == together


def test_sampled_triplets_are_checked_once(world, tmp_path, monkeypatch):
  real, checked = layout.check, []

  def check(*args, what, **kwargs):
    checked.append(what)
    return real(*args, what=what, **kwargs)

  monkeypatch.setattr(layout, "check", check)
  respond.respond(**world.inputs, out=tmp_path / "x.npz")
  assert checked.count(f"indices in {world.triplets}") == 1


def test_bytes_depend_on_neither_blocks_nor_threads_nor_scratch(
    world, tmp_path, monkeypatch
):
  aligned = tmp_path / "aligned.npz"
  respond.respond(**world.inputs, transform=world.transform, out=aligned)
  expected = aligned.read_bytes()
  for i, (rows, workers, small) in enumerate(
      [(1, 1, 2**28), (7, 3, 0), (64, 2, 0), (211, 1, 0), (10**6, 3, 2**28)]
  ):
    monkeypatch.setattr(transformed_store, "_SMALL", small)
    out = tmp_path / f"{i}.npz"
    respond.respond(
        **world.inputs,
        transform=world.transform,
        out=out,
        rows=rows,
        workers=workers,
    )
    assert out.read_bytes() == expected
  assert not list(tmp_path.glob("*.shards"))


def test_existing_output(world, tmp_path):
  out = tmp_path / "x.npz"
  respond.respond(**world.inputs, out=out)
  with pytest.raises(OutputExistsError, match="already exists"):
    respond.respond(**world.inputs, out=out)
  # A work folder that says nothing about the output changes nothing.
  (tmp_path / "x.npz.shards").mkdir()
  with pytest.raises(OutputExistsError, match="already exists"):
    respond.respond(**world.inputs, transform=world.transform, out=out)
  before = out.read_bytes()
  respond.respond(
      **world.inputs, transform=world.transform, out=out, overwrite=True
  )
  assert out.read_bytes() != before


def test_existing_output_that_waits_for_another(world, tmp_path):
  aligned, matched = tmp_path / "a.npz", tmp_path / "m.npz"
  responses = [
      respond.Response(out=aligned, transform=world.transform),
      respond.Response(out=matched, temperature_from=aligned),
  ]
  respond.respond(**world.inputs, out=matched)
  (tmp_path / "a.npz.shards").mkdir()
  before = matched.read_bytes()
  with pytest.raises(OutputExistsError, match="m.npz already exists"):
    respond.respond_all(**world.inputs, responses=responses)
  assert matched.read_bytes() == before
  assert not aligned.exists()


def _nan_features(world):
  path = world.representations / "features.npy"
  x = world.features.copy()
  x[5, 1] = np.nan
  files.save_npy(path, x, overwrite=True)


def _other_width(world):
  wide = dataclasses.replace(transforms.identity(9), meta=world.teacher.meta)
  transforms.save(world.transform, wide, overwrite=True)


def _fewer_images(world):
  store.write(
      world.representations,
      world.features[:50],
      world.names[:50],
      {"basic": labels_lib.from_strings(["a"] * 50)},
      {},
      overwrite=True,
  )


def _outside(world):
  arrays = {
      "indices": np.array([[0, 1, 60]], np.int32),
      "meta": json_files.array({"rows": identities.of_names(world.names)}),
  }
  files.save_npz(world.triplets, arrays, overwrite=True)


def _outside_a_strange_number(world):
  """`n_images` that a reader cannot go by."""
  arrays = {
      "indices": np.array([[0, 1, 60]], np.int32),
      "meta": json_files.array(
          {"n_images": 60.0, "rows": identities.of_names(world.names)}
      ),
  }
  files.save_npz(world.triplets, arrays, overwrite=True)


def _none(world):
  arrays = {
      "indices": np.zeros((0, 3), np.int32),
      "meta": json_files.array({}),
  }
  files.save_npz(world.triplets, arrays, overwrite=True)


def _overflow(world):
  store.write(
      world.representations,
      np.full((60, 6), 1e30, np.float32),
      world.names,
      {},
      {},
      overwrite=True,
  )


@pytest.mark.parametrize(
    "spoil, message",
    [
        (_nan_features, "is not the file that was written"),
        (_other_width, r"expected shape \(any, 9\)"),
        (_fewer_images, "numbers other rows than .*n 60 and 50"),
        (_outside, "expected numbers from 0 to 59"),
        (_outside_a_strange_number, "expected numbers from 0 to 59"),
        (_none, "at least one triplet"),
        (lambda w: w.triplets.unlink(), "does not exist"),
        (lambda w: w.transform.write_bytes(b"PK"), "truncated"),
    ],
)
def test_bad_inputs(world, tmp_path, spoil, message):
  spoil(world)
  out = tmp_path / "x.npz"
  with pytest.raises(AlignetError, match=message):
    respond.respond(**world.inputs, transform=world.transform, out=out)
  assert not list(tmp_path.glob("x.npz*"))


def test_overflowing_similarity(world, tmp_path):
  _overflow(world)
  with (
      np.errstate(over="ignore"),
      pytest.raises(AlignetError, match="triplet 0 .* overflows"),
  ):
    respond.respond(**world.inputs, out=tmp_path / "x.npz", workers=1)


def test_cluster_order_does_not_show(world, tmp_path):
  files.save_npz(
      tmp_path / "c.npz", {"assignments": np.arange(60, dtype=np.int32) % 7}
  )
  a, b = tmp_path / "a.npz", tmp_path / "b.npz"
  trust = identities.Trust(rows="as_stored")
  respond.respond(**world.inputs, out=a, trust=trust)
  by_clusters = {"clusters": tmp_path / "c.npz"}
  with pytest.raises(AlignetError, match="c.npz does not say .*--rows=as_st"):
    respond.respond(**world.inputs, out=b, **by_clusters)
  respond.respond(**world.inputs, out=b, **by_clusters, trust=trust)
  assert a.read_bytes() == b.read_bytes()


def test_several_responses_in_one_pass(world, tmp_path, monkeypatch):
  monkeypatch.setattr(transformed_store, "_SMALL", 0)
  names = ("aligned", "untransformed", "matched")

  def responses(folder):
    aligned, raw, matched = (folder / f"{name}.npz" for name in names)
    return [
        respond.Response(out=aligned, transform=world.transform),
        respond.Response(out=raw),
        respond.Response(out=matched, temperature_from=aligned),
    ]

  metas = respond.respond_all(
      **world.inputs, responses=responses(tmp_path / "all"), rows=50
  )
  for response, meta in zip(responses(tmp_path / "one"), metas):
    alone = respond.respond(
        **world.inputs,
        out=response.out,
        transform=response.transform,
        temperature_from=response.temperature_from,
    )
    assert alone == meta
    together = tmp_path / "all" / response.out.name
    assert together.read_bytes() == response.out.read_bytes()
  assert len(list((tmp_path / "all").iterdir())) == 3

  # Stopped when the first was there: the same call goes on.
  real, calls = npz.write, []

  def dying(*args, **kwargs):
    if calls:
      raise KeyboardInterrupt
    calls.append(1)
    real(*args, **kwargs)

  with monkeypatch.context() as m:
    m.setattr(npz, "write", dying)
    with pytest.raises(KeyboardInterrupt):
      respond.respond_all(
          **world.inputs, responses=responses(tmp_path / "two"), rows=50
      )
  again = respond.respond_all(
      **world.inputs, responses=responses(tmp_path / "two"), rows=50
  )
  assert again == metas
  for path in (tmp_path / "two").iterdir():
    assert path.read_bytes() == (tmp_path / "all" / path.name).read_bytes()


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"similarity": "euclidean"}, "dot, cosine"),
        ({"store": "int8"}, "float32, float16, bfloat16"),
        ({"device": "abacus"}, "cpu, jax"),
        ({"part": (3, 3)}, "i of n"),
        ({"rows": 0}, "rows"),
        ({"workers": 0}, "workers"),
        ({"temperature_from": "nothing.npz"}, "does not exist"),
    ],
)
def test_bad_arguments(world, tmp_path, arguments, message):
  with pytest.raises(AlignetError, match=message):
    respond.respond(**world.inputs, out=tmp_path / "x.npz", **arguments)
  assert not list(tmp_path.glob("x.npz*"))


def test_other_images_of_the_same_number_are_refused(world, tmp_path):
  """Other names, another order: never answered by their number."""
  opened = store.open(world.representations)
  for name, names in (
      ("other", [f"other/{i}.jpg" for i in range(60)]),
      ("moved", opened.filenames[::-1]),
  ):
    store.write(tmp_path / name, opened.features, names, {}, {"model": "m"})
    with pytest.raises(AlignetError, match=f"t.npz numbers .*{name}") as e:
      respond.respond(
          representations=tmp_path / name,
          triplets=world.triplets,
          out=tmp_path / "x.npz",
          trust=identities.Trust(rows="as_stored"),
      )
    assert "\n" not in str(e.value)
  assert not (tmp_path / "x.npz").exists()


@pytest.mark.parametrize(
    "meta",
    [
        {"model": "m", "layer": "other"},
        {"weights_sha256": "ab", "layer": "pooled"},
        {},
    ],
)
def test_features_of_another_network_are_refused(world, tmp_path, meta):
  store.write(tmp_path / "o", world.features, world.names, {}, meta)
  ask = {
      "representations": tmp_path / "o",
      "triplets": world.triplets,
      "transform": world.transform,
      "out": tmp_path / "x.npz",
  }
  said = "is of other features" if meta else "o does not say .*--columns=as_giv"
  with pytest.raises(AlignetError, match=said):
    respond.respond(**ask)
  trust = identities.Trust(columns="as_given")
  if meta:
    with pytest.raises(AlignetError, match=said):
      respond.respond(**ask, trust=trust)
  else:
    found = respond.respond(**ask, trust=trust)
    assert found["trusted"] == {"columns": "as_given"}
