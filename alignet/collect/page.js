"use strict";

// What the page shows: see alignet/collect/page.py, which writes it.
const page = JSON.parse(document.getElementById("data").textContent);
const TRIPLETS = page.kind === "triplets";
const POINTS = 7;  // of the rating scale
const BLANK_MS = 200;  // between two trials, so that a change is seen

const $ = (id) => document.getElementById(id);
const CURRENT = `alignet:${page.id}:current`;
const keyOf = (participant) => `alignet:${page.id}:answers:${participant}`;

// ---- Random order, the same again for the same page and participant.

function seedOf(text) {  // FNV-1a
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) {
    hash = Math.imul(hash ^ byte, 0x01000193);
  }
  return hash >>> 0;
}

function generator(seed) {  // mulberry32: uniform in [0, 1)
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), seed | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function shuffled(values, random) {
  const out = [...values];
  for (let i = out.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [out[i], out[j]] = [out[j], out[i]];
  }
  return out;
}

// Trials of a participant: the items in random order. The first of them come
// again, in the same order, scattered over the second half, so that at least
// half of the items lie between the two times.
function schedule(participant) {
  const random = generator(seedOf(`${page.id}/${participant}`));
  const order = shuffled(page.items.keys(), random).slice(0, page.trials);
  const half = Math.ceil(order.length / 2);
  const repeats = Math.min(
      Math.round(page.repeats * order.length), order.length - half);
  const later = shuffled(
      [...Array(order.length - half).fill(0), ...Array(repeats).fill(1)],
      random);
  let first = half, again = 0;
  const trials = order.slice(0, half).map((item) => ({item, repetition: 0}));
  for (const repetition of later) {
    const item = repetition ? order[again++] : order[first++];
    trials.push({item, repetition});
  }
  for (const trial of trials) {
    trial.images = shuffled(page.items[trial.item], random);
  }
  return trials;
}

// ---- What is kept: after every answer, in this browser alone.

let participant = null, trials = [], state = null;

function store(key, value) {
  try {
    localStorage.setItem(key, value);
    return true;
  } catch (e) {
    $("warning").textContent = "This browser does not keep your answers." +
        " Do not close or reload the page before you have saved them.";
    $("warning").hidden = false;
    return false;
  }
}

function stored(key) {
  try {
    return localStorage.getItem(key);
  } catch (e) {
    return null;
  }
}

const keep = () => store(keyOf(participant), JSON.stringify(state));

function enter(name) {
  participant = name;
  trials = schedule(name);
  state = JSON.parse(stored(keyOf(name)) || '{"answers": [], "views": 0}');
  store(CURRENT, name);
}

// ---- Screens.

function show(id) {
  for (const section of document.querySelectorAll("main > section")) {
    section.hidden = section.id !== id;
  }
  window.scrollTo(0, 0);
  $(id).querySelector("[tabindex='-1']").focus({preventScroll: true});
}

function start() {
  participant = null;
  try {
    localStorage.removeItem(CURRENT);
  } catch (e) { /* Nothing was kept. */ }
  $("participant").value =
      new URLSearchParams(location.search).get("participant") || "";
  $("consent").checked = false;
  $("problem").textContent = "";
  show("start");
}

function pause() {
  leaveTrial();
  const n = state.answers.length;
  if (n >= trials.length) {
    finish();
    return;
  }
  $("so-far").textContent =
      `${n} of ${trials.length} answered as ${participant}.`;
  show("pause");
}

function finish() {
  $("saved").textContent = "";
  show("end");
}

// ---- A trial. Times run from the frame that shows the images.

let shownAt = null;  // ms, null while nothing may be answered
let turn = 0;  // tells a trial that was left from the one that is shown

function leaveTrial() {
  shownAt = null;
  turn++;
}

const nextFrame = () => new Promise(requestAnimationFrame);

async function decoded(image) {
  const element = new Image();
  element.src = page.images[image];
  await element.decode();
  return element;
}

async function next() {
  leaveTrial();
  const mine = turn;
  const n = state.answers.length;
  if (n >= trials.length) {
    finish();
    return;
  }
  $("progress").max = trials.length;
  $("progress").value = n;
  $("count").textContent = `${n + 1} of ${trials.length}`;
  $("images").replaceChildren(
      ...trials[n].images.map((_, i) => frame(i)));
  show("trial");
  let images;
  try {
    const blank = new Promise((done) => setTimeout(done, BLANK_MS));
    [images] = await Promise.all(
        [Promise.all(trials[n].images.map(decoded)), blank]);
  } catch (e) {
    if (mine !== turn) return;
    $("warning").textContent = "An image could not be loaded. Check the" +
        " connection, then reload the page: your answers are kept.";
    $("warning").hidden = false;
    return;
  }
  if (mine !== turn) return;
  images.forEach((image, i) => {
    // Says the place and nothing of what is seen.
    image.alt = `Image ${i + 1}`;
    image.draggable = false;
    $("images").children[i].prepend(image);
  });
  state.views++;
  keep();
  // The first frame after the change is drawn when the second one begins.
  await nextFrame();
  const time = await nextFrame();
  if (mine !== turn) return;
  shownAt = time;
  document.body.dataset.ready = String(n + 1);
  if (n + 1 < trials.length) {
    trials[n + 1].images.forEach((image) => decoded(image).catch(() => {}));
  }
}

function frame(i) {
  const box = document.createElement(TRIPLETS ? "button" : "div");
  box.className = TRIPLETS ? "choice" : "shown";
  if (TRIPLETS) {
    const number = document.createElement("span");
    number.className = "number";
    number.textContent = i + 1;
    number.setAttribute("aria-hidden", "true");
    box.type = "button";
    box.append(number);
    box.addEventListener("click", (event) => answer(i + 1, event));
  }
  return box;
}

function answer(value, event) {
  if (shownAt === null || event.timeStamp < shownAt) return;
  const n = state.answers.length;
  state.answers.push({
    value,
    rt: Math.round(10 * (event.timeStamp - shownAt)) / 10,
    views: state.views,
    at: new Date().toISOString(),
  });
  state.views = 0;
  leaveTrial();
  keep();
  const every = page.break_every;
  if (every && (n + 1) % every === 0 && n + 1 < trials.length) {
    pause();
  } else {
    next();
  }
}

// ---- The file of answers, tab-separated as THINGS' own.

const NUMBERS = TRIPLETS ?
    ["image1", "image2", "image3", "choice"] : ["image1", "image2", "rating"];
const NAMES = TRIPLETS ? ["name1", "name2", "name3"] : ["name1", "name2"];

function table() {
  const rows = [[
    "subject_id", ...NUMBERS, "rt_ms", "trial", "item", "repetition", "views",
    ...NAMES, "page", "answered_at",
  ]];
  state.answers.forEach((given, i) => {
    const {item, repetition, images} = trials[i];
    rows.push([
      participant, ...images.map((image) => page.numbers[image] + 1),
      given.value, given.rt.toFixed(1), i + 1, item, repetition, given.views,
      ...images.map((image) => page.names[image]), page.id, given.at,
    ]);
  });
  const field = (value) => {
    const text = String(value);
    return text.includes('"') ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return rows.map((row) => row.map(field).join("\t") + "\n").join("");
}

function download() {
  const link = document.createElement("a");
  const file = new Blob([table()], {type: "text/csv"});
  link.href = URL.createObjectURL(file);
  link.download = `answers_${page.id}_${participant}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  $("saved").textContent = `Saved as ${link.download}.`;
}

// ---- Events.

$("enter").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = $("participant").value.trim();
  let problem = "", field = null;
  if (!/^[A-Za-z0-9_-]{1,40}$/.test(name)) {
    problem = "Please enter your ID: letters, digits, - and _ only.";
    field = $("participant");
  } else if (!$("consent").checked) {
    problem = "Please tick the box if you agree to take part.";
    field = $("consent");
  }
  $("problem").textContent = problem;
  if (field) {
    field.focus();
    return;
  }
  enter(name);
  next();
});
$("break").addEventListener("click", pause);
$("continue").addEventListener("click", next);
$("save").addEventListener("click", download);
$("download").addEventListener("click", download);
$("leave").addEventListener("click", start);
$("another").addEventListener("click", start);

document.addEventListener("keydown", (event) => {
  const value = Number(event.key);
  const most = TRIPLETS ? 3 : POINTS;
  if (shownAt === null || event.repeat || event.ctrlKey || event.metaKey ||
      event.altKey || !Number.isInteger(value)) return;
  if (value >= 1 && value <= most) {
    event.preventDefault();
    answer(value, event);
  }
});

// Time in another tab is no thinking: the trial is shown again afterwards.
document.addEventListener("visibilitychange", () => {
  if (document.hidden && participant && !$("trial").hidden) pause();
});

// Answers given in a second tab are not given again in this one.
window.addEventListener("storage", (event) => {
  if (participant && event.key === keyOf(participant)) {
    enter(participant);
    pause();
  }
});

document.body.className = page.kind;
$("keys").textContent = TRIPLETS ?
    "Click the image, or press 1, 2 or 3." : `Click, or press 1 to ${POINTS}.`;
if (!TRIPLETS) {
  const points = document.createElement("div");
  points.className = "points";
  for (let value = 1; value <= POINTS; value++) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = value;
    button.addEventListener("click", (event) => answer(value, event));
    points.append(button);
  }
  const ends = document.createElement("div");
  ends.className = "ends";
  for (const text of page.ends) {
    const end = document.createElement("span");
    end.textContent = text;
    ends.append(end);
  }
  $("scale").append(points, ends);
  $("scale").hidden = false;
}

const current = stored(CURRENT);
if (current) {
  enter(current);
  pause();
} else {
  start();
}
