r"""DINOv2-B/14 post-trained on AligNet; everything else as `student/siglip_b`.

  alignet train --cfg=student/dinov2_b --cfg.workdir=out/dinov2_b \
    --cfg.aux.root=alignet_release --cfg.aux.weights=WEIGHTS

Its class token is what it says of an image (`pre_logits`); its positions, made
for 518 px, are resampled to 224, in training and in use. That the released
model of this name was trained by the recipe of SigLIP-B is assumed: only that
one's config is public.
"""

from alignet.io import config_files
from alignet.models.vit import zoo


def get_config(variant=""):
  """The experiment; `variant` as in `student/siglip_b`."""
  cfg = config_files.load("student/siglip_b", variant=variant)
  cfg.model.backbone.update(zoo.find("dinov2-b14").architecture)
  return cfg
