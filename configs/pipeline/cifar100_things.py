"""CIFAR-100 photographs x THINGS concepts: real images, real human data.

  alignet run cifar100_things --out=out/cifar100_things \
    --cfg.paths.tfds=TFDS_DIR \
    --cfg.paths.model=efficientnet_lite0.onnx \
    --cfg.paths.concepts=concepts.tsv \
    --cfg.paths.vice=vice_embedding.npy

CIFAR-100 as prepared by TFDS; of each class the 200 train and 50 test images
whose record `id` comes first in sorted order. EfficientNet-lite0 sees them at
112 px. 80 classes are concepts of THINGS, in five disjoint folds. On each fold
a teacher, a transform of the network's representations, is trained on VICE's
choice probabilities (soft_point targets) for the other 64 concepts, and scored
on test images of the 16 held out, beside ridge regression onto VICE.

On folds 1 and 2 the teacher answers 200,000 cluster_border triplets, and a
small ViT, trained on the fine labels, is post-trained on the answers. Controls:

  untransformed  answers of the raw representations (the same for all folds)
  matched        those at the temperature that gives the aligned ones' entropy
  shuffled       a teacher that was given each concept's vector of another one
  excluded       aligned, but no triplet shows a held-out concept

VICE was fitted on all THINGS concepts jointly, and both networks saw class
labels of all images: only the teacher's judgments are held out.
"""

import ml_collections

_FOLDS = 5
_STUDENT_FOLDS = (1, 2)
_MODEL = dict(
    backbone=dict(patch_size=8, width=128, depth=6, num_heads=4, mlp_dim=512)
)


def get_config() -> ml_collections.ConfigDict:
  """The stages and what is published."""
  config = ml_collections.ConfigDict()
  config.seed = 0
  config.base_steps = 5500
  config.student_steps = 2000
  config.paths = dict(tfds="", model="", concepts="", vice="")
  config.stages = ml_collections.ConfigDict()
  _data(config)
  folds = [f"fold{i}" for i in range(1, _FOLDS + 1)]
  for fold in folds:
    _teacher(config, fold)
  student_folds = [f"fold{i}" for i in _STUDENT_FOLDS]
  _student(config, "untransformed", "untransformed", student_folds)
  for fold in student_folds:
    _responses(config, fold)
    for name in ("aligned", "matched", "shuffled", "excluded"):
      _student(config, f"{name}_{fold}", name, [fold])
    _evaluate(config, "base", "base", fold)
  _report(config, folds, student_folds)
  return config


def _data(config) -> None:
  """Images, representations, clusters, triplets and the base model."""
  seed, path = config.get_ref("seed"), config.paths.get_ref
  stages = config.stages
  stages.data = dict(
      run="cifar100_things",
      files=dict(
          data_dir=path("tfds"),
          concepts=path("concepts"),
          embedding=path("vice"),
      ),
      params=dict(per_class=dict(train=200, test=50), folds=_FOLDS, seed=seed),
  )
  stages.features = dict(
      run="extract",
      inputs=dict(train="data/train", test="data/test"),
      files=dict(model=path("model")),
      params=dict(
          layer="feat",
          size=112,
          pixel_range="-0.9921875,1",  # (grey - 127) / 128
          dtype="float16",
      ),
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
  stages.clusters = dict(
      run="cluster",
      inputs=dict(representations="features/train"),
      params=dict(k=100, seed=seed),
  )
  stages.triplets = _triplets(config)
  stages.responses_untransformed = dict(
      run="respond", inputs=dict(_answered("triplets"))
  )


def _triplets(config, **inputs) -> dict:
  return dict(
      run="sample",
      inputs=dict(clusters="clusters/clusters.npz", **inputs),
      params=dict(
          strategy="cluster_border_100",
          n=200_000,
          seed=config.get_ref("seed"),
      ),
  )


def _teacher(config, fold: str) -> None:
  """Trials, the teacher and the ridge baseline of a fold, and their scores."""
  seed, stages = config.get_ref("seed"), config.stages
  judged = dict(
      embedding="data/embedding.npy", held_out=f"data/{fold}/held_out.npy"
  )
  stages[f"trials_{fold}"] = dict(
      run="trials_of_concepts",
      inputs=dict(images="data/test", **judged),
      params=dict(concept_level="concept", name="things", n=5000, seed=seed),
  )
  for name, settings in (("teacher", {}), ("ridge", dict(steps=0))):
    stages[f"{name}_{fold}"] = dict(
        run="teach",
        inputs=dict(representations="features/train", **judged),
        params=dict(level="concept", seed=seed, **settings),
    )
  stages[f"evaluate_teacher_{fold}"] = dict(
      run="evaluate_teacher",
      inputs=dict(
          representations="features/test",
          transform=f"teacher_{fold}/transform.npz",
          ridge=f"ridge_{fold}/transform.npz",
          trials=f"trials_{fold}",
      ),
  )


def _responses(config, fold: str) -> None:
  """Answers to the triplets by the teacher of a fold and by its controls."""
  seed, stages = config.get_ref("seed"), config.stages
  judged = dict(
      embedding="data/embedding.npy", held_out=f"data/{fold}/held_out.npy"
  )
  stages[f"shuffled_teacher_{fold}"] = dict(
      run="teach",
      inputs=dict(representations="features/train", **judged),
      params=dict(level="concept", shuffle=True, seed=seed),
  )
  stages[f"excluded_triplets_{fold}"] = _triplets(
      config,
      representations="features/train",
      held_out=f"data/{fold}/held_out.npy",
  )
  teacher = f"teacher_{fold}/transform.npz"
  stages[f"responses_aligned_{fold}"] = dict(
      run="respond", inputs=dict(transform=teacher, **_answered("triplets"))
  )
  stages[f"responses_excluded_{fold}"] = dict(
      run="respond",
      inputs=dict(transform=teacher, **_answered(f"excluded_triplets_{fold}")),
  )
  stages[f"responses_shuffled_{fold}"] = dict(
      run="respond",
      inputs=dict(
          transform=f"shuffled_teacher_{fold}/transform.npz",
          **_answered("triplets"),
      ),
  )
  stages[f"responses_matched_{fold}"] = dict(
      run="respond",
      inputs=dict(
          temperature_from=f"responses_aligned_{fold}/alignet.npz",
          **_answered("triplets"),
      ),
  )


def _answered(triplets: str) -> dict:
  return dict(
      representations="features/train",
      triplets=f"{triplets}/triplets.npz",
      clusters="clusters/clusters.npz",
  )


def _student(config, run: str, name: str, folds) -> None:
  """A student of the answers `responses_{run}`, scored on each of the folds."""
  config.stages[run] = dict(
      run="train",
      inputs=dict(
          aux=dict(
              triplets=f"responses_{run}/alignet.npz",
              images="data/train",
              weights="base/weights.safetensors",
              trials=f"trials_{folds[0]}",
              trial_images="data/test",
          )
      ),
      params=dict(
          config="student/small",
          seed=config.get_ref("seed"),
          num_train_steps=config.get_ref("student_steps"),
          aux=dict(source="vice", eval_every=500),
          model=_MODEL,
      ),
  )
  for fold in folds:
    _evaluate(config, run, name, fold)


def _evaluate(config, run: str, name: str, fold: str) -> None:
  config.stages[f"evaluate_{name}_{fold}"] = dict(
      run="evaluate",
      inputs=dict(
          weights=f"{run}/weights.safetensors",
          train="data/train",
          test="data/test",
          trials=f"trials_{fold}",
      ),
      params=dict(class_level="subordinate"),
  )


def _report(config, folds, student_folds) -> None:
  """Joins the folds; pictures are of the first one."""
  stages = config.stages
  names = (
      *("base", "untransformed", "matched", "shuffled", "excluded", "aligned"),
  )
  stages.teachers = dict(
      run="pool",
      inputs=dict(
          models=dict(teacher={f: f"evaluate_teacher_{f}" for f in folds}),
          trials={f: f"trials_{f}" for f in folds},
          images="data/test",
      ),
  )
  stages.students = dict(
      run="pool",
      inputs=dict(
          models={
              n: {f: f"evaluate_{n}_{f}" for f in student_folds} for n in names
          },
          trials={f: f"trials_{f}" for f in student_folds},
          images="data/test",
      ),
  )
  first = student_folds[0]
  runs = {
      n: f"{n}_{first}" for n in names if n not in ("base", "untransformed")
  }
  runs["untransformed"] = "untransformed"
  stages.report = dict(
      run="report",
      inputs=dict(
          models={n: f"students/{n}" for n in names},
          trials="students/trials",
          teacher="teachers/teacher",
          teacher_trials="teachers/trials",
          shown={n: f"evaluate_{n}_{first}" for n in ("base", "aligned")},
          shown_trials=f"trials_{first}",
          runs=runs,
          targets={n: f"responses_{r}/alignet.npz" for n, r in runs.items()},
          test="data/test",
      ),
      params=dict(
          concept_level="concept",
          group_level="superordinate",
          seed=config.get_ref("seed"),
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
                  " of concepts of which the teacher saw no judgment; two folds"
                  " of 16 concepts. Pictures, curves and targets are those of"
                  " the first."
              ),
              observers="VICE model",
          ),
      ),
  )
  config.publish = (
      "report/results.json",
      "report/report.html",
      f"responses_aligned_{first}/alignet.npz",
      f"teacher_{first}/transform.npz",
  )
