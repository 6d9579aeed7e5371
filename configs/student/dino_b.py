r"""DINOv1-B/16 post-trained on AligNet; everything else as `student/siglip_b`.

  alignet train --cfg=student/dino_b --cfg.workdir=out/dino_b \
    --cfg.aux.root=alignet_release --cfg.aux.weights=WEIGHTS

Its class token is what it says of an image (`pre_logits`). That the released
model of this name was trained by the recipe of SigLIP-B is assumed: only that
one's config is public.
"""

from alignet.io import config_files
from alignet.models.vit import zoo


def get_config(variant=""):
  """The experiment; `variant` as in `student/siglip_b`."""
  cfg = config_files.load("student/siglip_b", variant=variant)
  cfg.model.backbone.update(zoo.find("dinov1-b16").architecture)
  return cfg
