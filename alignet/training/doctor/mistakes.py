"""Mistakes that ports make, each as a training that makes it."""

from alignet.training import optim
from alignet.training.doctor.curves import DECAY
from alignet.training.doctor.curves import RATES
from alignet.training.doctor.curves import TAU
from alignet.training.doctor.curves import Port
from alignet.training.doctor.curves import jsd
from alignet.training.doctor.curves import recipe
from alignet.training.doctor.curves import schedule
from alignet.triplets import similarity
import jax
import jax.numpy as jnp
import numpy as np
import optax

_PULL = DECAY / sum(RATES)


def _teacher(s):
  return similarity.log_choice_probabilities(s)


def _student(z, tau=TAU, kind="dot"):
  return similarity.log_choice_probabilities(
      similarity.pair_similarities(z, kind) / tau
  )


def _of(
    divergence=similarity.js_divergence, *, teacher=_teacher, student=_student
):
  return lambda z, s: divergence(teacher(s), student(z))


def _reordered(order):
  return _of(student=lambda z: _student(z)[..., jnp.array(order)])


def _mean_of_logs(log_p, log_q):
  m = (log_p + log_q) / 2
  return 0.5 * (
      similarity.kl_divergence(log_p, m) + similarity.kl_divergence(log_q, m)
  )


def _distances(z):
  a, b, c = z[..., 0, :], z[..., 1, :], z[..., 2, :]
  d = jnp.stack(
      [jnp.square(x - y).sum(-1) for x, y in ((a, b), (a, c), (b, c))]
  )
  return similarity.log_choice_probabilities(jnp.moveaxis(d, 0, -1) / TAU)


def _at_chance(z):
  return jnp.full((*z.shape[:-2], 3), -np.log(3)) + 0 * z.sum(-1)


def _no_positions(params):
  backbone = dict(params["backbone"])
  backbone["pos_embedding"] = 0 * backbone["pos_embedding"]
  return {**params, "backbone": backbone}


def _no_bias(params):
  head = params["triplet_head"]
  return {**params, "triplet_head": {**head, "bias": 0 * head["bias"]}}


def _flat_pull():
  return optax.add_decayed_weights(_PULL)


def _coupled():
  """The pull to zero in the gradient, where Adam normalises it."""
  return optax.chain(
      optax.add_decayed_weights(_PULL),
      optax.scale_by_adam(),
      optax.scale_by_learning_rate(schedule),
  )


def _coupled_to_init():
  return optax.chain(
      optim.decay_to_init(total=DECAY, schedule=schedule, num_steps=len(RATES)),
      optax.scale_by_adam(),
      optax.scale_by_learning_rate(schedule),
  )


def _no_correction():
  def init(params):
    zeros = jax.tree.map(jnp.zeros_like, params)
    return zeros, zeros

  def update(gradient, state, params=None):
    del params
    m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, state[0], gradient)
    v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, state[1], gradient)
    out = jax.tree.map(lambda m, v: m / (jnp.sqrt(v) + 1e-8), m, v)
    return out, (m, v)

  return recipe(adam=optax.GradientTransformation(init, update))


MISTAKES = {
    "at_chance": (
        "the student's three probabilities are 1/3 whatever it sees and no"
        " gradient flows: the triplet head is all zeros, detached, or applied"
        " to the same image three times",
        Port(loss=_of(student=_at_chance)),
    ),
    "nothing_trained": (
        "the weights never change: the optimizer is not stepped, holds other"
        " parameters than the model's, or its rate is 0",
        Port(optimizer=optax.set_to_zero),
    ),
    "head_not_trained": (
        "the triplet head is not trained: give the optimizer its parameters",
        Port(trained=("backbone",)),
    ),
    "backbone_not_trained": (
        "only the triplet head is trained: the backbone is frozen or its output"
        " detached",
        Port(trained=("triplet_head",)),
    ),
    "pairs_reversed": (
        "the student's pairs are in the order [s12, s02, s01]; expected"
        " [s01, s02, s12], the odd one last",
        Port(loss=_reordered((2, 1, 0))),
    ),
    "pairs_by_odd_one": (
        "the student's pairs are in the order [s01, s12, s02]; expected"
        " [s01, s02, s12]",
        Port(loss=_reordered((0, 2, 1))),
    ),
    "pairs_shifted": (
        "the student's pairs are in the order [s02, s01, s12]; expected"
        " [s01, s02, s12]",
        Port(loss=_reordered((1, 0, 2))),
    ),
    "tau_missing": (
        "the student's similarities are not divided by tau = 100",
        Port(loss=_of(student=lambda z: _student(z, 1.0))),
    ),
    "tau_on_teacher": (
        "the teacher's similarities are divided by tau = 100 too: its"
        " temperature is 1",
        Port(loss=_of(teacher=lambda s: _teacher(s / TAU))),
    ),
    "tau_squared": (
        "the loss is multiplied by tau**2, as in distillation after Hinton:"
        " not in this recipe",
        Port(loss=lambda z, s: TAU**2 * jsd(z, s)),
    ),
    "teacher_softmax_missing": (
        "the teacher's similarities are taken for probabilities: the softmax"
        " over the three pairs is missing",
        # Positive, but no probabilities.
        Port(loss=_of(teacher=jnp.log)),
    ),
    "teacher_softmax_twice": (
        "the teacher's similarities pass a softmax twice",
        Port(loss=_of(teacher=lambda s: _teacher(jnp.exp(_teacher(s))))),
    ),
    "student_softmax_twice": (
        "the student's similarities pass a softmax twice",
        Port(loss=_of(student=lambda z: _teacher(jnp.exp(_student(z))))),
    ),
    "base_2": (
        "logarithms are of base 2: expected natural ones, nats",
        Port(loss=lambda z, s: jsd(z, s) / np.log(2)),
    ),
    "sum_over_batch": (
        "the loss is summed over the batch: expected the mean over triplets",
        Port(reduce=jnp.sum),
    ),
    "mean_over_pairs": (
        "the loss is averaged over batch and pairs, a third of it"
        " (reduction='mean'): expected the sum over pairs, mean over triplets"
        " ('batchmean')",
        Port(loss=lambda z, s: jsd(z, s) / 3),
    ),
    "jsd_doubled": (
        "the two divergences of JSD are added: expected their mean",
        Port(loss=lambda z, s: 2 * jsd(z, s)),
    ),
    "jsd_root": (
        "the loss is the root of JSD, as scipy's jensenshannon gives: expected"
        " JSD itself",
        Port(loss=lambda z, s: jnp.sqrt(jsd(z, s))),
    ),
    "mean_of_logarithms": (
        "the mean distribution of JSD is formed from logarithms: expected"
        " log((p + q) / 2)",
        Port(loss=_of(_mean_of_logs)),
    ),
    "kl": (
        "the loss is KL(teacher || student): expected JSD",
        Port(loss=_of(similarity.kl_divergence)),
    ),
    "kl_reversed": (
        "the loss is KL(student || teacher): expected JSD",
        Port(loss=_of(lambda p, q: similarity.kl_divergence(q, p))),
    ),
    "cross_entropy": (
        "the loss is the cross-entropy with the teacher's probabilities:"
        " expected JSD",
        Port(loss=_of(similarity.cross_entropy)),
    ),
    "hard_labels": (
        "the loss is -log p of the teacher's choice alone: expected JSD with"
        " all three probabilities",
        Port(loss=lambda z, s: -_student(z)[..., 0]),
    ),
    "cosine": (
        "the student's similarities are cosines: expected dot products",
        Port(loss=_of(student=lambda z: _student(z, kind="cosine"))),
    ),
    "distances": (
        "squared distances stand where dot products are expected: near pairs"
        " come out as far",
        Port(loss=_of(student=_distances)),
    ),
    "decay_to_zero": (
        "weights are pulled to zero: expected to their initial values",
        Port(optimizer=lambda: recipe(decay=_flat_pull)),
    ),
    "decay_missing": (
        "nothing pulls the weights to their initial values: the decay to init"
        " is missing",
        Port(optimizer=lambda: recipe(decay=optax.identity)),
    ),
    "decay_coupled": (
        "weight decay to zero is added to the gradient before Adam"
        " (torch.optim.Adam's weight_decay): expected a pull to the initial"
        " values, after Adam's scaling",
        Port(optimizer=_coupled),
    ),
    "decay_to_init_coupled": (
        "the pull to the initial weights is added to the gradient before Adam:"
        " expected after Adam's scaling, decoupled",
        Port(optimizer=_coupled_to_init),
    ),
    "sgd": (
        "updates are plain gradient descent: expected Adam",
        Port(optimizer=lambda: recipe(adam=optax.identity())),
    ),
    "no_bias_correction": (
        "Adam lacks its bias correction",
        Port(optimizer=_no_correction),
    ),
    "rate_off_by_one": (
        "the learning rate is one step early: step 0 has rate 0",
        Port(
            optimizer=lambda: recipe(lambda step: schedule(step, 1)),
        ),
    ),
    "rate_constant": (
        "the learning rate stays at its peak: warm-up and cosine are missing",
        Port(optimizer=lambda: recipe(lambda _: max(RATES))),
    ),
    "pixels_255": (
        "pixels are from 0 to 255: expected 0 to 1",
        Port(model={"pixel_range": (0.0, 255.0)}),
    ),
    "pixels_symmetric": (
        "pixels are from -1 to 1: expected 0 to 1",
        Port(model={"pixel_range": (-1.0, 1.0)}),
    ),
    "pixels_imagenet": (
        "pixels are normalised by ImageNet's mean and deviation: expected 0 to"
        " 1",
        Port(model={"pixel_range": "imagenet"}),
    ),
    "bgr": (
        "channels are in the order blue, green, red, as OpenCV reads: expected"
        " red first",
        Port(images=lambda x: x[..., ::-1]),
    ),
    "transposed": (
        "height and width of the images are swapped",
        Port(images=lambda x: jnp.swapaxes(x, -3, -2)),
    ),
    "triplets_interleaved": (
        "images of different triplets are mixed: (batch * 3) was folded back"
        " as (3, batch), not as (batch, 3)",
        Port(
            images=lambda x: jnp.swapaxes(x.reshape(3, -1, *x.shape[2:]), 0, 1)
        ),
    ),
    "positions_missing": (
        "position embeddings are missing",
        Port(params=_no_positions),
    ),
    "head_bias_missing": (
        "the triplet head's bias is missing",
        Port(params=_no_bias),
    ),
}
"""Name: what to say of it, and the training.

Not here, because ten steps cannot tell them from rounding: the exact GELU for
its tanh approximation, and a layer norm's epsilon of 1e-5 for 1e-6 (at most
0.001 of the gradient norm, measured).
"""
