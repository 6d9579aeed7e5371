r"""SigLIP-B/16 post-trained on AligNet: the released recipe, at full size.

  alignet train --cfg=student/siglip_b \
    --cfg.workdir=out/siglip_b \
    --cfg.aux.root=alignet_release \
    --cfg.aux.data_dir=$TFDS_DATA_DIR \
    --cfg.aux.weights=siglip/model.safetensors

`aux.root` is the public release as `alignet fetch alignet` downloads it, or
ours (`alignet release`): `{transform}/{train|val}_{sampling}.npz`; the images
are TFDS's imagenet2012, decoded on the fly, or an image store
(`--cfg.aux.images=STORE`, about 40 times cheaper to read; the side of its
images, if it is not 224, is `--cfg.aux.image_size`, which the trained model
keeps for those who use it).
The weights are those of the base model, of any format in docs/models.md. One
field makes the control: `--cfg.aux.transform=untransformed`. Any other file
trains by `--cfg.aux.train=alignet_release/alignet_train.npz`, and is scored by
`--cfg.aux.valid=alignet_release/alignet_valid.npz`.

As released (Muttenthaler et al. 2025): 512 triplets a batch, 100,000 steps,
warm-up 5,000 and cosine to 0, peak 3e-5, Adam, decay to the initial weights
(rates x decay sum to 1.5), JSD with tau 100, attention pooling, a triplet head
of 1,024, pixels from 0 to 1 resized straight to 224 with OpenCV cubic, no
augmentation, evaluation every 5,000 steps on the three class-based samplings.
Not so: `synthetic_valid` scores the sampling that is trained on as well. All
`synthetic_…` is agreement with AligNet's own responses, which says nothing of
people: that is `alignet evaluate student`.

Cost: 512 triplets are 1,536 images, at 35 GFLOP forward and twice that backward
162 TFLOP a step and 16 EFLOP a run. Nobody ran this config to its end yet: its
parts are tested at small size, no figure of it is known to us.

Devices share each batch. `--cfg.aux.shard_above_mb=4` spreads weights, moments
and initial weights of more megabytes over them (FSDP), of which each otherwise
keeps a copy;
`--cfg.aux.dtype=bfloat16` computes in bfloat16, `--cfg.aux.remat=True
--cfg.aux.scan=True`, both together, trade time for memory. Where the batch does
not fit, `--cfg.aux.batch_size=128 --cfg.aux.accumulate=4
--cfg.num_train_steps=400_000` make the same updates of parts of it;
`--cfg.aux.ema=0.9999` also keeps a moving average of the weights.

Each student has two variants, which go by a colon.

`student/siglip_b:readout`: beside it, a layer norm and a dense layer learn the
class of every image from `pre_logits`, and no gradient of theirs reaches the
backbone: it is told nothing of classes, and `i1k_logits` says along the
training whether it still knows them. The released models carry such a head; how
it was trained is not public. Images are a store with labels (`alignet cache`),
of the level `--cfg.aux.label_level`.

`student/siglip_b:dense`: the loss over all triplets of a batch of clusters, 64
of 8 images instead of 512 triplets: 512 images, a third, and 903,168 triplets.
It takes the teacher itself instead of its answers, in training and in
evaluation; `aux.root` only gives the triplets that the evaluation asks about:

  alignet train --cfg=student/siglip_b:dense \
    --cfg.workdir=out/siglip_b_dense \
    --cfg.aux.clusters=clusters.npz \
    --cfg.aux.representations=representations \
    --cfg.aux.teacher=transform.npz \
    --cfg.aux.root=alignet_release \
    --cfg.aux.data_dir=$TFDS_DATA_DIR \
    --cfg.aux.weights=siglip/model.safetensors

The public release carries no teacher: clusters, representations and transform
are ours (`alignet extract`, `cluster`, `teach`; a release of ours holds all
three). One field makes the control `untransformed`: `--cfg.aux.teacher=""`. For
`untransformed-matched` add `--cfg.aux.target_tau=T`, T the temperature that
`alignet respond` prints and keeps for that control. Expectation: the sparse
loss on triplets of cluster_border_500. Batch, rate and tau are untried at this
size; where it was tried, small, it reached what sparse reaches and not more
(docs/students.md).
"""

from alignet.errors import AlignetError
from alignet.models.vit import zoo
from kauldron import konfig

# pylint: disable=g-import-not-at-top
with konfig.imports():
  from alignet import models
  from alignet.training import checkpoints
  from alignet.training import losses
  from alignet.training import metrics
  from alignet.training import optim
  from alignet.training import train_step
  from alignet.training import writer
  from alignet.training.input import batches
  from alignet.training.input import group_batches
  from alignet.training.input import loader
  from alignet.training.input import teacher
  from kauldron import kd
  import optax
# pylint: enable=g-import-not-at-top

_SAMPLINGS = ("between_class", "class_border", "within_class")


def get_config(variant="", cfg=None):
  """The experiment.

  Args:
    variant: "", "dense" or "readout".
    cfg: that of another student to vary.
  """
  if variant not in _VARIANTS:
    raise AlignetError(
        f"student: {variant!r} is not a variant; expected dense or readout, as"
        " in student/siglip_b:dense"
    )
  return _VARIANTS[variant](cfg or _sparse())


def _sparse():
  cfg = kd.train.Trainer()
  cfg.seed = 0
  cfg.workdir = ""
  cfg.aux = {
      "root": "alignet_release",
      "transform": "uncertainty_distillation",
      "sampling": "cluster_border_500",
      "images": "tfds:imagenet2012:train",
      "data_dir": "",
      "image_size": 224,
      "weights": "",
      "batch_size": 512,
      "unique_images": 0,
      "num_workers": 8,
      "shard_above_mb": 1_000_000,
      "dtype": "float32",
      "remat": False,
      "scan": False,
      "peak": 3e-5,
      "tau": 100.0,
      "target_tau": 1.0,
      "loss": {"jsd": 1.0, "kl": 0.0, "hard": 0.0},
      "accumulate": 1,
      "ema": 0.0,
      "decay": 1.5,
      "decay_exclude": (),
      "eval_every": 5000,
  }

  # Data
  cfg.aux.train = _path(cfg, "train", cfg.ref.aux.sampling)
  cfg.aux.valid = _path(cfg, "val", cfg.ref.aux.sampling)
  cfg.train_ds = _make_ds(cfg, cfg.ref.aux.train, training=True)

  # Model
  base = zoo.find("siglip-b16")
  cfg.model = models.VisionModel(
      backbone=models.ViT(
          **base.architecture,
          dtype=cfg.ref.aux.dtype,
          remat=cfg.ref.aux.remat,
          scan=cfg.ref.aux.scan,
      ),
      pixel_range=(0.0, 1.0),
      triplet_dim=1024,
      image_size=cfg.ref.aux.image_size,
  )
  cfg.init_transform = models.InitFromWeights(path=cfg.ref.aux.weights)

  # Training
  fsdp = kd.sharding.FSDPSharding(
      min_size_to_shard_mb=cfg.ref.aux.shard_above_mb
  )
  # Left to the compiler, the moments begin as a copy on each device, and the
  # second step, which finds them spread, is compiled again.
  cfg.sharding = kd.sharding.ShardingStrategy(params=fsdp, opt_state=fsdp)
  cfg.num_train_steps = 100_000
  cfg.train_losses = _losses(cfg)
  cfg.train_metrics = {**_metrics(cfg), "drift": metrics.Drift()}
  cfg.log_metrics_every = 100
  cfg.log_summaries_every = 1_000_000
  cfg.writer = writer.JsonlWriter()
  cfg.profiler = None
  cfg.trainstep = train_step.TrainStep()
  updates = cfg.ref.num_train_steps // cfg.ref.aux.accumulate
  cfg.schedules = {
      "learning_rate": optax.warmup_cosine_decay_schedule(
          init_value=0.0,
          peak_value=cfg.ref.aux.peak,
          warmup_steps=updates // 20,
          decay_steps=updates,
      )
  }
  updater = kd.optim.named_chain(
      **{
          "adam": optax.scale_by_adam(),
          "decay": optim.decay_to_init(
              total=cfg.ref.aux.decay,
              schedule=cfg.ref.schedules["learning_rate"],
              num_steps=updates,
              exclude=cfg.ref.aux.decay_exclude,
          ),
          "rate": optax.scale_by_learning_rate(
              cfg.ref.schedules["learning_rate"]
          ),
          "ema": optim.ema(decay=cfg.ref.aux.ema),
      }
  )
  cfg.optimizer = optim.accumulate(
      optimizer=updater, steps=cfg.ref.aux.accumulate
  )
  cfg.checkpointer = checkpoints.Checkpointer(
      save_interval_steps=1000, max_to_keep=2
  )

  # Evaluation
  paths = {name: _path(cfg, "val", name) for name in _SAMPLINGS}
  paths["valid"] = cfg.ref.aux.valid
  cfg.evals = {
      f"synthetic_{name}": kd.evals.Evaluator(
          run=kd.evals.EveryNSteps(cfg.ref.aux.eval_every),
          ds=_make_ds(cfg, path, training=False),
          losses=_losses(cfg, mask="batch.present"),
          metrics=_metrics(cfg, mask="batch.present"),
      )
      for name, path in paths.items()
  }
  return cfg


def _path(cfg, split, sampling):
  """An AligNet file in the layout of the release."""
  folder = cfg.ref.aux.root + "/" + cfg.ref.aux.transform
  return folder + f"/{split}_" + sampling + ".npz"


def _losses(cfg, **keys):
  """The losses by their weights in `aux.loss`; 0 leaves one out."""
  shared = dict(tau=cfg.ref.aux.tau, target_tau=cfg.ref.aux.target_tau, **keys)
  return {
      "jsd": losses.JSD(weight=cfg.ref.aux.loss.jsd, **shared),
      "kl": losses.KL(weight=cfg.ref.aux.loss.kl, **shared),
      "hard": losses.Contrastive(weight=cfg.ref.aux.loss.hard, **shared),
  }


def _metrics(cfg, **keys):
  """Agreement with the responses."""
  return {
      "synthetic_accuracy": metrics.TripletAccuracy(**keys),
      "synthetic_kl": metrics.TripletKL(
          tau=cfg.ref.aux.tau, target_tau=cfg.ref.aux.target_tau, **keys
      ),
  }


def _make_ds(cfg, path, *, training):
  """Batches of one AligNet file; of the validation files one pass."""
  return loader.Loader(
      data_source=batches.TripletBatches(
          path=path,
          images=cfg.ref.aux.images,
          image_size=cfg.ref.aux.image_size,
          data_dir=cfg.ref.aux.data_dir,
          batch_size=cfg.ref.aux.batch_size,
          unique_images=cfg.ref.aux.unique_images if training else 0,
          num_batches=cfg.ref.num_train_steps + 1 if training else None,
          seed=cfg.ref.seed,
          shuffle=training,
      ),
      num_workers=cfg.ref.aux.num_workers,
  )


def _readout(cfg):
  """With a readout of classes."""
  cfg.aux.update({"label_level": "subordinate", "classes": 1000})
  cfg.aux.decay_exclude = ("i1k_head",)  # It has nothing to keep.
  cfg.model.i1k_classes = cfg.ref.aux.classes
  cfg.train_ds.data_source.label_level = cfg.ref.aux.label_level
  cfg.train_losses["readout"] = kd.losses.SoftmaxCrossEntropyWithIntLabels(
      logits="preds.i1k_logits", labels="batch.label"
  )
  cfg.train_metrics["readout_accuracy"] = kd.metrics.Accuracy(
      logits="preds.i1k_logits", labels="batch.label"
  )
  return cfg


def _dense(cfg):
  """With the loss over all triplets of a batch of clusters."""
  cfg.aux.update(
      {
          "clusters": "",
          "representations": "",
          "teacher": "",
          "rows": "",
          "columns": "",
          "groups": 64,
          "group_size": 8,
      }
  )
  # Batches are drawn from clusters, each image once: these would do nothing.
  for name in ("train", "unique_images"):
    if name in cfg.aux:
      del cfg.aux[name]
  taught = teacher.Teacher(
      representations=cfg.ref.aux.representations,
      transform=cfg.ref.aux.teacher,
      columns=cfg.ref.aux.columns,
  )
  sparse = cfg.train_ds.data_source
  cfg.train_ds.data_source = group_batches.GroupBatches(
      clusters=cfg.ref.aux.clusters,
      teacher=taught,
      **{
          key: sparse.get_ref(key)
          for key in ("images", "image_size", "data_dir")
          if key in sparse
      },
      groups=cfg.ref.aux.groups,
      group_size=cfg.ref.aux.group_size,
      num_batches=cfg.ref.num_train_steps + 1,
      seed=cfg.ref.seed,
      rows=cfg.ref.aux.rows,
  )
  cfg.train_losses = {
      name: losses.Dense(of=loss, weight=loss.get_ref("weight"))
      for name, loss in cfg.train_losses.items()
  }
  cfg.train_metrics.synthetic_accuracy = metrics.DenseAccuracy()
  cfg.train_metrics.synthetic_kl = metrics.DenseKL(
      tau=cfg.ref.aux.tau, target_tau=cfg.ref.aux.target_tau
  )
  for evaluator in cfg.evals.values():
    if "ds" in evaluator:
      evaluator.ds.data_source.teacher = taught
  return cfg


_VARIANTS = {"": lambda cfg: cfg, "dense": _dense, "readout": _readout}
