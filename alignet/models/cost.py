"""What a vision transformer costs: floating-point operations."""

from alignet.models.vit import ViT


def forward_flops(model: ViT, height: int, width: int | None = None) -> float:
  """FLOP of one image's forward pass: two a multiply-add, products only.

  Training takes three times as many: the backward pass has a product for the
  weights' gradient and one for the inputs' for each of the forward pass.

  Args:
    model: the backbone.
    height: pixels.
    width: pixels; the height's if None.
  """
  patch, d = model.patch_size, model.width
  mlp = model.mlp_dim or 4 * d
  patches = (height // patch) * ((width or height) // patch)
  tokens = patches + (model.pool == "tok")
  embed = patches * patch**2 * 3 * d
  block = tokens * (4 * d * d + 2 * tokens * d + 2 * d * mlp)
  # Attention pooling: keys and values of all tokens, one query.
  head = 2 * tokens * d * d + 2 * tokens * d + 2 * d * d + 2 * d * mlp
  return 2.0 * (embed + model.depth * block + (model.pool == "map") * head)
