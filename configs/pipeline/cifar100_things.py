"""CIFAR-100 photographs x THINGS concepts: real images, real human data.

  alignet run cifar100_things --out=out/cifar100_things \
    --cfg.paths.tfds=TFDS_DIR \
    --cfg.paths.concepts=concepts.tsv \
    --cfg.paths.vice=vice_embedding.npy \
    --cfg.paths.train_features=cifar100_train_lite0.npy \
    --cfg.paths.test_features=cifar100_test_lite0.npy

The teacher is a transform of given EfficientNet-lite0 representations, trained
on VICE's choice probabilities (soft_point targets) for 64 of the 80 concepts
that CIFAR-100 shares with THINGS; it answers 200,000 cluster_border triplets. A
small ViT, trained on the fine labels, is post-trained on the answers, and
compared on test images of the 16 concepts the teacher saw no judgment of.

VICE was fitted on all THINGS concepts jointly, and both networks saw class
labels of all images: only the teacher's judgments are held out.
"""

import ml_collections

_STUDENTS = ("untransformed", "matched", "aligned")
_MODEL = dict(
    backbone=dict(patch_size=8, width=128, depth=6, num_heads=4, mlp_dim=512)
)


def get_config() -> ml_collections.ConfigDict:
  """The stages and what is published."""
  config = ml_collections.ConfigDict()
  config.seed = 0
  config.base_steps = 5500
  config.student_steps = 2000
  config.paths = dict(
      tfds="", concepts="", vice="", train_features="", test_features=""
  )
  seed = config.get_ref("seed")
  path = config.paths.get_ref
  stages = config.stages = ml_collections.ConfigDict()

  stages.data = dict(
      run="cifar100_things",
      files=dict(
          data_dir=path("tfds"),
          concepts=path("concepts"),
          embedding=path("vice"),
          train_features=path("train_features"),
          test_features=path("test_features"),
      ),
      params=dict(model="efficientnet_lite0", held_out=16, seed=seed),
  )
  stages.trials = dict(
      run="trials_of_concepts",
      inputs=dict(
          images="data/test",
          embedding="data/embedding.npy",
          held_out="data/held_out.npy",
      ),
      params=dict(concept_level="concept", name="things", n=5000, seed=seed),
  )
  stages.base = dict(
      run="train",
      inputs=dict(aux=dict(images="data/train")),
      params=dict(
          config="base",
          seed=seed,
          num_train_steps=config.get_ref("base_steps"),
          aux=dict(augment=True, peak=1e-3),
          model=dict(num_classes=100, **_MODEL),
      ),
  )
  stages.teacher = dict(
      run="teach",
      inputs=dict(
          representations="data/train_features",
          embedding="data/embedding.npy",
          held_out="data/held_out.npy",
      ),
      params=dict(level="concept", seed=seed),
  )
  stages.clusters = dict(
      run="cluster",
      inputs=dict(representations="data/train_features"),
      params=dict(k=100, seed=seed),
  )
  stages.triplets = dict(
      run="sample",
      inputs=dict(clusters="clusters/clusters.npz"),
      params=dict(strategy="cluster_border_100", n=200_000, seed=seed),
  )

  answered = dict(
      representations="data/train_features",
      triplets="triplets/triplets.npz",
      clusters="clusters/clusters.npz",
  )
  transform = "teacher/transform.npz"
  stages.responses_aligned = dict(
      run="respond", inputs=dict(**answered, transform=transform)
  )
  stages.responses_untransformed = dict(run="respond", inputs=dict(**answered))
  stages.responses_matched = dict(
      run="respond",
      inputs=dict(**answered, temperature_from="responses_aligned/alignet.npz"),
  )

  for name in _STUDENTS:
    stages[name] = dict(
        run="train",
        inputs=dict(
            aux=dict(
                triplets=f"responses_{name}/alignet.npz",
                images="data/train",
                weights="base/weights.safetensors",
                trials="trials",
                trial_images="data/test",
            )
        ),
        params=dict(
            config="student/small",
            seed=seed,
            num_train_steps=config.get_ref("student_steps"),
            aux=dict(source="vice", eval_every=500),
            model=_MODEL,
        ),
    )
  for name in ("base", *_STUDENTS):
    stages[f"evaluate_{name}"] = dict(
        run="evaluate",
        inputs=dict(
            weights=f"{name}/weights.safetensors",
            train="data/train",
            test="data/test",
            trials="trials",
        ),
        params=dict(class_level="subordinate"),
    )
  stages.evaluate_teacher = dict(
      run="evaluate_teacher",
      inputs=dict(
          representations="data/test_features",
          transform=transform,
          trials="trials",
      ),
  )
  stages.report = dict(
      run="report",
      inputs=dict(
          models={n: f"evaluate_{n}" for n in ("base", *_STUDENTS)},
          runs={n: n for n in _STUDENTS},
          targets={n: f"responses_{n}/alignet.npz" for n in _STUDENTS},
          teacher="evaluate_teacher",
          trials="trials",
          test="data/test",
      ),
      params=dict(
          concept_level="concept",
          group_level="superordinate",
          seed=seed,
          set_names=dict(things="three concepts of THINGS"),
          texts=dict(
              title="AligNet on CIFAR-100 and THINGS",
              note=(
                  "Observers are VICE, a model of human odd-one-out choices"
                  " fitted on all THINGS concepts jointly; the networks saw"
                  " class labels of all images. This page holds CIFAR-100"
                  " images: do not publish it."
              ),
              subtitle=(
                  "Agreement with VICE's most likely pair on single test images"
                  " of 16 concepts of which the teacher saw no judgment."
              ),
              observers="VICE model",
          ),
      ),
  )
  config.publish = (
      "report/results.json",
      "report/report.html",
      "responses_aligned/alignet.npz",
      "teacher/transform.npz",
  )
  return config
