"""How a page asks: the kind of question, its words, how many and how often."""

from collections.abc import Mapping
import dataclasses
from typing import Literal

from alignet import errors
from alignet.errors import AlignetError

KINDS = ("triplets", "pairs")

NameBy = Literal["path", "stem", "folder"]

_DEFAULTS: Mapping[str, Mapping[str, str]] = {
    "triplets": {
        "title": "Which one is different?",
        "question": "Which one is the odd one out?",
        "instructions": (
            "You will see three images at a time. Choose the one that is least"
            " like the other two: click it, or press 1, 2 or 3.\n\nThere is no"
            " right or wrong. Go by your first impression.\n\nYou can take a"
            " break whenever you like, and go on later in the same browser."
        ),
    },
    "pairs": {
        "title": "How similar are they?",
        "question": "How similar are these two?",
        "instructions": (
            "You will see two images at a time. Say how similar what they show"
            " is, from 1, not at all, to 7, very similar: click a number, or"
            " press it.\n\nThere is no right or wrong. Go by your first"
            " impression, and use the whole scale.\n\nYou can take a break"
            " whenever you like, and go on later in the same browser."
        ),
    },
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
  """How a page asks.

  Attributes:
    kind: "triplets", the odd one out of three, or "pairs", a rating of two
      from 1 to 7.
    title: heading of the page; "" for a text that suits the kind.
    question: shown above the images; "" as before.
    instructions: paragraphs, parted by empty lines; "" as before.
    consent: what participants must agree to before they start.
    thanks: paragraphs on the last page, for example whom to send the file to.
    repeats: share of a participant's trials that come a second time, at least
      half of the items later: 0 to .5.
    trials: items that each participant sees, drawn at random; None for all.
    break_every: answers after which a break is offered; 0 for never.
    name_by: what an image is called in names.txt: its path, the path's last
      part without what follows the dot, or the folder it lies in. Give what
      `alignet teach` knows it by: rows of its --concept_list.
  """

  kind: str
  title: str = ""
  question: str = ""
  instructions: str = ""
  consent: str = (
      "I am at least 18 years old and take part of my own free will. I know"
      " that I may stop at any time, and agree that my answers and response"
      " times are used for research."
  )
  thanks: str = (
      "Thank you! Please save your answers, and send the file to whoever"
      " invited you."
  )
  repeats: float = 0.0
  trials: int | None = None
  break_every: int = 50
  name_by: NameBy = "path"

  def __post_init__(self):
    errors.check_choice("kind", self.kind, KINDS)
    if not 0 <= self.repeats <= 0.5:
      raise AlignetError(
          "repeats: expected a share of the trials from 0 to 0.5, found"
          f" {self.repeats}"
      )
    errors.check_least(1, trials=self.trials)
    errors.check_least(0, break_every=self.break_every)

  @property
  def size(self) -> int:
    """Images of a trial."""
    return 3 if self.kind == "triplets" else 2

  def text(self, name: str) -> str:
    """A text of the page: the one given, or one that suits the kind."""
    return getattr(self, name) or _DEFAULTS[self.kind].get(name, "")
