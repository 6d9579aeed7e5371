"""One's own images: a folder, a network and a transform to AligNet triplets.

  alignet run image_folder --out=out/mine \
    --cfg.paths.images=FOLDER \
    --cfg.paths.model=network.onnx \
    --cfg.paths.transform=transform.npz \
    --cfg.layer=feat --cfg.size=224 --cfg.pixel_range=imagenet

The transform must be one for that network and layer, as `alignet teach` makes
it. The network is an ONNX file (then `size`, `pixel_range` and, where it has
several outputs, `layer` have to be given), or weights of ours (.safetensors).
Published are the answers of the aligned and of the raw representations to the
same triplets, the entropy-matched control, the clusters, and a report with
pictures of the folder's images.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
  """The stages and what is published."""
  config = ml_collections.ConfigDict()
  config.seed = 0
  config.k = 50  # Clusters; those of fewer than two images are left out.
  config.n = 100_000  # Triplets.
  config.layer = ""
  config.size = 0
  config.pixel_range = ""
  config.pool = ""
  config.dtype = "float32"
  config.on_corrupt = "error"
  config.columns = ""  # "as_given": a transform that does not say of which.
  config.paths = dict(images="", model="", transform="")
  field, path = config.get_ref, config.paths.get_ref
  stages = config.stages = ml_collections.ConfigDict()
  stages.features = dict(
      run="extract",
      files=dict(images=path("images"), model=path("model")),
      params={
          name: field(name)
          for name in (
              *("layer", "size", "pixel_range", "pool"),
              *("dtype", "on_corrupt"),
          )
      },
  )
  stages.clusters = dict(
      run="cluster",
      inputs=dict(representations="features/images"),
      params=dict(k=field("k"), seed=field("seed")),
  )
  stages.triplets = dict(
      run="sample",
      inputs=dict(clusters="clusters/clusters.npz"),
      params=dict(strategy="border", n=field("n"), seed=field("seed")),
  )
  answered = dict(
      representations="features/images",
      triplets="triplets/triplets.npz",
      clusters="clusters/clusters.npz",
  )
  transform = dict(transform=path("transform"))
  stages.aligned = dict(
      run="respond",
      inputs=answered,
      files=transform,
      params=dict(columns=field("columns")),
  )
  stages.untransformed = dict(run="respond", inputs=answered)
  stages.matched = dict(
      run="respond",
      inputs=dict(temperature_from="aligned/alignet.npz", **answered),
  )
  stages.report = dict(
      run="dataset_report",
      inputs=dict(
          representations="features/images",
          clusters="clusters/clusters.npz",
          aligned="aligned/alignet.npz",
          untransformed="untransformed/alignet.npz",
      ),
      files=dict(images=path("images"), **transform),
      params=dict(title="AligNet of a folder of images", seed=field("seed")),
  )
  config.publish = (
      "report/report.html",
      "clusters/clusters.npz",
      ("aligned/alignet.npz", "aligned.npz"),
      ("untransformed/alignet.npz", "untransformed.npz"),
      ("matched/alignet.npz", "matched.npz"),
  )
  return config
