"""The collection page in a real browser, from triplets to a teacher.

Not collected by `make test`: run by `make browser`, which has a Chromium. What
was shown and chosen is noted here, from the pixels of the images on the page,
and compared with what the page saves.
"""

import base64
import csv
import json
import time

from alignet import transforms
from alignet.cli import main
from alignet.collect import answers
from alignet.collect import tables
from alignet.data import images
from alignet.data import shapes
from alignet.data.labels import Labels
from alignet.human import readers
import cv2
import numpy as np
import pytest
from tests.browser import chromium

pytestmark = pytest.mark.skipif(
    chromium.find() is None, reason="no Chromium: `make browser` installs one"
)

_N = 20
_SOURCES = "[...document.querySelectorAll('#images img')].map((i) => i.src)"


@pytest.fixture
def browser(tmp_path):
  (tmp_path / "saved").mkdir()
  with chromium.Browser(tmp_path / "saved") as one:
    yield one


@pytest.fixture(scope="module")
def world(tmp_path_factory):
  """Folder with images, items of them, features; and observers' traits."""
  folder = tmp_path_factory.mktemp("world")
  drawn = shapes.make_world(0)
  concepts = np.arange(0, 108, 3)
  pixels = shapes.render(drawn, concepts, seed=0, size=48)
  names = np.array(
      [f"{drawn.names[c].replace(' ', '_')}/{c:03d}.png" for c in concepts]
  )
  images.write(
      folder / "images",
      images.ImageStore(
          images=pixels,
          filenames=names,
          labels={"subordinate": Labels(ids=concepts, names=drawn.names)},
          meta={},
      ),
  )
  rng = np.random.default_rng(0)
  triplets = [rng.permutation(len(names))[:3] for _ in range(_N)]
  for name, size in (("triplets", 3), ("pairs", 2)):
    columns = zip(*(names[t[:size]].tolist() for t in triplets))
    tables.write(
        folder / f"{name}.csv", dict(zip(tables.IMAGES, map(list, columns)))
    )
  traits = drawn.embedding[concepts]
  noise = rng.normal(scale=2, size=(len(names), 8))
  features = np.concatenate([traits, noise], axis=1).astype(np.float32)
  np.save(folder / "features.npy", features)
  np.save(folder / "filenames.npy", names)
  return folder, names, pixels, traits


def _run(*arguments, out):
  assert main.main([*map(str, arguments), f"--out={out}"]) == 0


def _page(world, out, kind, *flags):
  images_store = f"--source=images:{world[0] / 'images'}"
  shown = f"--{kind}={world[0] / kind}.csv"
  _run("collect", "--quiet", "page", shown, images_store, *flags, out=out)
  return (out / "index.html").as_uri()


def _start(tab, participant):
  tab.click("#participant")
  tab.evaluate("document.querySelector('#participant').select()")
  tab.write(participant)
  tab.click("#consent")
  tab.click("#enter button")


def _shown(tab, world, number):
  """Rows of the images on the page, by their pixels."""
  tab.wait(f"document.body.dataset.ready === '{number}' && shownAt !== null")
  rows = []
  for source in tab.evaluate(_SOURCES):
    data = base64.b64decode(source.removeprefix("data:image/png;base64,"))
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    same = (world[2] == pixels[..., ::-1]).all(axis=(1, 2, 3))
    rows.append(int(np.flatnonzero(same)[0]))
  return rows


def _odd(world, rows):
  gram = world[3][rows] @ world[3][rows].T
  return 2 - int(np.argmax([gram[0, 1], gram[0, 2], gram[1, 2]]))


def _agreement(z, triplets):
  """Share of triplets, the odd one last, whose first two are most alike."""
  x, y, odd = np.moveaxis(z[triplets], 1, 0)
  alike = (x * y).sum(-1)
  other = np.maximum((x * odd).sum(-1), (y * odd).sum(-1))
  return (alike > other).mean()


def _saved(browser):
  """Path of the one file saved since the last call."""
  until = time.monotonic() + 30
  while True:
    found = list(browser.downloads.glob("*.csv"))
    if len(found) == 1 and found[0].read_text().endswith("\n"):
      return found[0].rename(found[0].with_suffix(".tsv"))
    assert time.monotonic() < until, f"{found} saved"
    time.sleep(0.05)


def _wrong(browser):
  """Errors of the page, and addresses it asked for outside itself."""
  found = []
  for event in browser.events:
    params = event["params"]
    if event["method"] == "Runtime.exceptionThrown":
      found.append(params)
    if event["method"] == "Log.entryAdded":
      found.append(params["entry"]["text"])
    if event["method"] == "Network.requestWillBeSent":
      url = params["request"]["url"]
      if not url.startswith(("file:", "data:", "blob:")):
        found.append(url)
  return found


def test_twenty_triplets_two_reloads_and_a_teacher(
    world, browser, tmp_path, capsys
):
  folder, names, _, _ = world
  tab = browser.open(_page(world, tmp_path / "page", "triplets"))
  _start(tab, "anna")
  noted = []
  began = time.monotonic()
  for n in range(_N):
    rows = _shown(tab, world, n + 1)
    if n in (9, 15):  # After nine answers; and later, in a phone's window.
      if n == 15:
        tab.size(360, 700, mobile=True)
      tab.reload()
      assert f"{n} of {_N} answered as anna" in tab.evaluate(
          "document.querySelector('#pause').innerText"
      )
      tab.click("#continue")
      assert _shown(tab, world, n + 1) == rows
    if n == 12:
      tab.click("#break")
      tab.press("1")  # Nothing is shown that could be answered.
      tab.click("#continue")
      assert _shown(tab, world, n + 1) == rows
    odd = _odd(world, rows)
    noted.append(([names[r] for r in rows], odd + 1))
    if n == 3:
      time.sleep(0.7)
    if n % 2:
      tab.press(str(odd + 1))
    else:
      tab.click(f".choice:nth-child({odd + 1})")
  tab.wait("!document.querySelector('#end').hidden")
  took = time.monotonic() - began
  tab.press("1")
  tab.reload()  # At the end, too.
  tab.click("#download")
  path = _saved(browser)
  assert _wrong(browser) == []

  with open(path, newline="") as f:
    saved = list(csv.DictReader(f, delimiter="\t"))
  found = [
      ([row[f"name{i}"] for i in (1, 2, 3)], int(row["choice"]))
      for row in saved
  ]
  assert found == noted
  items = tables.read_items(folder / "triplets.csv", 3)
  assert sorted(sorted(shown) for shown, _ in found) == sorted(
      sorted(row.values()) for row in items
  )
  assert sorted(int(row["item"]) for row in saved) == list(range(_N))
  assert len({row["choice"] for row in saved}) == 3
  given = [[*items[int(row["item"])].values()] for row in saved]
  as_given = sum(shown == row for (shown, _), row in zip(found, given))
  assert as_given < _N / 2  # One in six on average.
  times = [float(row["rt_ms"]) for row in saved]
  assert min(times) > 0 and times[3] > 700 and sum(times) < 1000 * took
  assert [row["views"] for row in saved] == [
      "2" if n in (9, 12, 15) else "1" for n in range(_N)
  ]
  meta = json.loads((tmp_path / "page" / "meta.json").read_text())
  assert {row["page"] for row in saved} == {meta["page"]}

  # The file is one of choices for our reader, joined by name.
  lists = {
      "choices_names": tmp_path / "page" / "names.txt",
      "concept_list": folder / "filenames.npy",
  }
  choices = readers.read_things_csv(
      path,
      readers.read_names(lists["concept_list"]),
      names=lists["choices_names"],
  )
  assert choices.participant_ids.tolist() == ["anna"]
  for triplet, (shown, odd) in zip(choices.triplets, noted, strict=True):
    assert names[triplet[2]] == shown[odd - 1]
    assert set(names[triplet]) == set(shown)
  joined = tmp_path / "choices.csv"
  _run("collect", "answers", path, f"--page={tmp_path / 'page'}", out=joined)
  assert "anna" in capsys.readouterr().out
  again = readers.read_things_csv(
      joined, np.load(lists["concept_list"]), names=lists["choices_names"]
  )
  np.testing.assert_array_equal(again.triplets, choices.triplets)
  _run(
      "teach",
      *(f"--features={folder / 'features.npy'}", "--rows=as_stored"),
      *(f"--{name}={value}" for name, value in lists.items()),
      f"--choices={path}",
      *("--inner_folds=0", "--steps=300", "--batch=64", "--start=identity"),
      "--regulariser_weight=0.001",
      out=tmp_path / "transform.npz",
  )
  teacher = transforms.load(tmp_path / "transform.npz")
  raw = np.load(folder / "features.npy")
  before, after = (_agreement(z, choices.triplets) for z in (raw, teacher(raw)))
  assert before < 0.8 and after > 0.9


def test_ratings_with_repeats_beside(world, browser, tmp_path):
  url = _page(
      world,
      tmp_path / "page",
      "pairs",
      "--repeats=0.5",
      "--trials=12",
      "--beside",
      "--break_every=5",
  )
  tab = browser.open(url)
  tab.size(360, 640, mobile=True)
  _start(tab, "bob-2")
  first = {}
  for n in range(18):
    tab.wait(f"document.body.dataset.ready === '{n + 1}' && shownAt !== null")
    key = tuple(sorted(tab.evaluate(_SOURCES)))
    again = key in first
    first.setdefault(key, n)
    if again:
      assert n - first[key] >= 6
    rating = 1 + (first[key] + again) % 7
    if n % 2:
      tab.press(str(rating))
    else:
      tab.click(f".points button:nth-child({rating})")
    if n + 1 in (5, 10, 15):
      tab.wait("!document.querySelector('#pause').hidden")
      tab.click("#continue")
  tab.wait("!document.querySelector('#end').hidden")
  tab.click("#download")
  found = answers.read(tmp_path / "page", [_saved(browser)])
  assert _wrong(browser) == []
  person = answers.summary(found)["participants"]["bob-2"]
  assert (person["answers"], person["repeated"]) == (18, 6)
  # Each second rating was one more, or six less at the end of the scale.
  assert person["consistency"] in ((6 * 1 + 5 * k) / 6 for k in range(7))
  assert len(first) == 12


@pytest.mark.parametrize("flags", [(), ("--beside",)])
def test_a_turned_camera_counts_for_nothing(browser, tmp_path, flags):
  """A quarter turn would change the sides of the image."""
  tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06" + bytes(7)
  note = b"Exif\0\0" + tiff
  note = b"\xff\xe1" + (len(note) + 2).to_bytes(2, "big") + note
  (tmp_path / "images").mkdir()
  rng = np.random.default_rng(0)
  for name in "abc":
    _, jpeg = cv2.imencode(".jpg", rng.integers(0, 256, (20, 40, 3), np.uint8))
    content = jpeg.tobytes()
    content = content[:2] + note + content[2:]
    (tmp_path / "images" / f"{name}.jpg").write_bytes(content)
  columns = {k: [f"{n}.jpg"] for k, n in zip(tables.IMAGES, "abc")}
  tables.write(tmp_path / "t.csv", columns)
  source = f"--source=folder:{tmp_path / 'images'}"
  shown = f"--triplets={tmp_path / 't.csv'}"
  _run("collect", "page", shown, source, *flags, out=tmp_path / "page")
  tab = browser.open((tmp_path / "page" / "index.html").as_uri())
  _start(tab, "anna")
  tab.wait("document.body.dataset.ready === '1' && shownAt !== null")
  image = "document.querySelector('#images img')"
  size = f"[{image}.naturalWidth, {image}.naturalHeight]"
  assert tab.evaluate(size) == [40, 20]


def test_who_may_start_and_where_they_go_on(world, browser, tmp_path):
  tab = browser.open(_page(world, tmp_path / "page", "triplets"))

  def problem():
    assert tab.evaluate("document.querySelector('#trial').hidden")
    return tab.evaluate("document.querySelector('#problem').textContent")

  tab.click("#enter button")
  assert "ID" in problem()
  tab.click("#participant")
  tab.write("an na")
  tab.click("#consent")
  tab.click("#enter button")
  assert "ID" in problem()
  tab.click("#consent")
  tab.evaluate("document.querySelector('#participant').value = ''")
  tab.click("#participant")
  tab.write("anna")
  tab.press("Enter")
  assert "agree" in problem()
  tab.click("#consent")
  tab.click("#enter button")
  shown = [_shown(tab, world, 1)]
  tab.press("2")
  shown.append(_shown(tab, world, 2))
  tab.click("#break")
  tab.click("#leave")
  _start(tab, "bob")
  other = _shown(tab, world, 1)
  assert other != shown[0]
  tab.press("1")
  _shown(tab, world, 2)
  tab.click("#break")
  tab.click("#leave")
  _start(tab, "anna")
  assert _shown(tab, world, 2) == shown[1]
  assert _wrong(browser) == []


def test_keyboard_alone_and_what_is_read_aloud(world, browser, tmp_path):
  tab = browser.open(_page(world, tmp_path / "page", "triplets"))
  tab.press("Tab")
  tab.write("eve")
  tab.press("Tab")
  tab.press(" ")
  tab.press("Tab")
  tab.press("Enter")
  for n, tabs in ((1, 1), (2, 3)):
    _shown(tab, world, n)
    # From the question, which has the focus, to an image.
    for _ in range(tabs):
      tab.press("Tab")
    assert tab.evaluate("document.activeElement.className") == "choice"
    tab.press("Enter")
  _shown(tab, world, 3)
  tree = tab.call("Accessibility.getFullAXTree")["nodes"]
  texts = [
      node["name"]["value"]
      for node in tree
      if not node["ignored"] and node.get("name", {}).get("value")
  ]
  for i in (1, 2, 3):
    assert f"Image {i}" in texts
  for name in world[1]:
    for word in name.replace("/", "_").removesuffix(".png").split("_"):
      assert not any(word in text.lower().split() for text in texts)
  stored = tab.evaluate("JSON.parse(stored(keyOf('eve'))).answers")
  assert [answer["value"] for answer in stored] == [1, 3]


def test_no_answer_to_what_is_not_seen(world, browser, tmp_path):
  url = _page(world, tmp_path / "page", "triplets")
  tabs = [browser.open(url)]
  _start(tabs[0], "fay")
  _shown(tabs[0], world, 1)
  # Two more clicks before the next images are there.
  click = "[1, 2, 3].forEach(() => document.querySelector('.choice').click())"
  tabs[0].evaluate(click)
  _shown(tabs[0], world, 2)
  assert tabs[0].evaluate("state.answers.length") == 1
  # In a second tab the same person goes on; the first one follows.
  tabs.append(browser.open(url))
  tabs[1].click("#continue")
  _shown(tabs[1], world, 2)
  tabs[1].press("3")
  _shown(tabs[1], world, 3)
  tabs[0].wait(
      "state.answers.length === 2 && !document.querySelector('#pause').hidden"
  )
  # A tab that nobody looks at takes a break.
  tabs[1].evaluate(
      "Object.defineProperty(document, 'hidden', {value: true}),"
      " document.dispatchEvent(new Event('visibilitychange'))"
  )
  assert not tabs[1].evaluate("document.querySelector('#pause').hidden")
  assert _wrong(browser) == []


@pytest.mark.parametrize("kind", ["triplets", "pairs"])
def test_all_of_it_is_seen_at_every_size(world, browser, tmp_path, kind):
  tab = browser.open(_page(world, tmp_path / "page", kind))
  _start(tab, "cy")
  tab.wait("document.body.dataset.ready === '1'")
  for width, height, mobile in (
      (320, 568, True),
      (360, 700, True),
      (700, 360, True),
      (844, 390, True),
      (768, 1024, True),
      (1280, 800, False),
      (1920, 1080, False),
  ):
    tab.size(width, height, mobile=mobile)
    boxes = tab.evaluate(
        "[...document.querySelectorAll('#images img, #break, #question,"
        " .points button')].map((e) => { const r = e.getBoundingClientRect();"
        " return [r.left, r.top, r.right, r.bottom]; })"
    )
    where = f"{width} x {height}: {boxes}"
    for left, top, right, bottom in boxes:
      assert 0 <= left < right <= width and 0 <= top < bottom <= height, where
    sides = tab.evaluate(
        "[...document.querySelectorAll('#images img')].map((e) =>"
        " [e.clientWidth, e.clientHeight])"
    )
    for w, h in sides:
      assert abs(w - h) <= 2 and w >= 120, where
    scrolls = "document.documentElement.scrollWidth > innerWidth"
    assert not tab.evaluate(scrolls), where


def test_a_browser_that_keeps_nothing_says_so(world, browser, tmp_path):
  tab = browser.open("about:blank#")
  tab.call(
      "Page.addScriptToEvaluateOnNewDocument",
      source="Storage.prototype.setItem = () => { throw new Error('full'); };",
  )
  tab.go(_page(world, tmp_path / "page", "triplets"))
  _start(tab, "dan")
  _shown(tab, world, 1)
  assert "does not keep your answers" in tab.evaluate(
      "document.querySelector('#warning').innerText"
  )
  tab.press("1")
  _shown(tab, world, 2)
  tab.click("#break")
  tab.click("#save")
  assert len(_saved(browser).read_text().splitlines()) == 2
