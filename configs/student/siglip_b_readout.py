r"""SigLIP-B/16 post-trained on AligNet, with a readout of ImageNet's classes.

  alignet train --cfg=student/siglip_b_readout --cfg.workdir=out/siglip_b \
    --cfg.aux.root=alignet_release --cfg.aux.weights=WEIGHTS \
    --cfg.aux.images=STORE

As `student/siglip_b`; beside it, a layer norm and a dense layer learn the class
of every image from `pre_logits`, and no gradient of theirs reaches the
backbone: it is told nothing of classes, and `i1k_logits` says along the
training whether it still knows them. The released models carry such a head;
how it was trained is not public. Images are a store with labels (`alignet
cache`), of the level `--cfg.aux.label_level`.
"""

from alignet.io import config_files
from kauldron import konfig

# pylint: disable=g-import-not-at-top
with konfig.imports():
  from kauldron import kd
# pylint: enable=g-import-not-at-top


def get_config(cfg=None):
  """The experiment; `cfg` is that of another student to give a readout."""
  cfg = cfg or config_files.load("student/siglip_b")
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
