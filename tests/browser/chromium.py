"""Drives a Chromium through the DevTools protocol, with nothing but a pipe.

Keys and clicks are real events of the browser, not calls of the page's own
functions.
"""

import base64
import contextlib
import fcntl
import json
import os
import pathlib
import select
import shutil
import signal
import tempfile
import time

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_SECONDS = 60.0


def find() -> str | None:
  """Path of the browser, None where there is none."""
  return next(filter(None, map(shutil.which, _NAMES)), None)


class Browser:
  """A headless browser with a profile of its own; a context manager."""

  def __init__(self, downloads: pathlib.Path):
    self.downloads = downloads
    self._stack = contextlib.ExitStack()
    self._number = 0
    self._buffer = b""
    self._answers: dict[int, dict] = {}
    self.events: list[dict] = []

  def __enter__(self):
    profile = self._stack.enter_context(
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    )
    # The browser reads commands from descriptor 3 and answers on 4.
    command, self._write = _pipe()
    self._read, answer = _pipe()
    program = find()
    flags = [
        *("--headless=new", "--remote-debugging-pipe", "--no-first-run"),
        *("--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"),
        *("--disable-extensions", "--disable-background-networking"),
        f"--user-data-dir={profile}",
    ]
    if os.geteuid() == 0:  # Its sandbox does not work for root.
      flags.append("--no-sandbox")
    self._log = pathlib.Path(profile) / "log.txt"
    log = os.open(self._log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    self._pid = os.posix_spawn(
        program,
        [program, *flags, "about:blank"],
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_DUP2, command, 3),
            (os.POSIX_SPAWN_DUP2, answer, 4),
            (os.POSIX_SPAWN_DUP2, log, 1),
            (os.POSIX_SPAWN_DUP2, log, 2),
        ],
        setpgroup=0,
    )
    for descriptor in (command, answer, log):
      os.close(descriptor)
    self._stack.callback(self._end)
    try:
      self.call(
          "Browser.setDownloadBehavior",
          behavior="allow",
          downloadPath=str(self.downloads),
      )
    except BaseException:
      self._stack.close()
      raise
    return self

  def __exit__(self, *unused):
    self._stack.close()

  def _end(self) -> None:
    # Its own process group, made above.
    os.killpg(self._pid, signal.SIGKILL)
    os.waitpid(self._pid, 0)
    os.close(self._write)
    os.close(self._read)

  def call(self, method: str, session: str | None = None, **params):
    """The result of a command; an error of the browser's is an exception."""
    self._number += 1
    number = self._number
    message = {"id": number, "method": method, "params": params}
    if session:
      message["sessionId"] = session
    data = json.dumps(message).encode() + b"\0"
    while data:
      data = data[os.write(self._write, data) :]
    until = time.monotonic() + _SECONDS
    while number not in self._answers:
      self._receive(until, method)
    answer = self._answers.pop(number)
    if "error" in answer:
      raise RuntimeError(f"{method}: {answer['error']['message']}")
    return answer["result"]

  def _receive(self, until: float, what: str) -> None:
    left = max(until - time.monotonic(), 0)
    ready = select.select([self._read], [], [], left)[0]
    chunk = os.read(self._read, 2**20) if ready else b""
    if not chunk:
      log = self._log.read_text(errors="replace")[-2000:]
      raise RuntimeError(f"no answer of the browser to {what}: {log}")
    *messages, self._buffer = (self._buffer + chunk).split(b"\0")
    for message in map(json.loads, messages):
      if "id" in message:
        self._answers[message["id"]] = message
      else:
        self.events.append(message)

  def open(self, url: str) -> "Tab":
    """A new tab that shows a page."""
    target = self.call("Target.createTarget", url="about:blank")["targetId"]
    session = self.call("Target.attachToTarget", targetId=target, flatten=True)[
        "sessionId"
    ]
    tab = Tab(self, session)
    for domain in ("Page", "Runtime", "Log", "Network"):
      tab.call(f"{domain}.enable")
    tab.go(url)
    return tab


class Tab:
  """A tab of the browser."""

  def __init__(self, browser: Browser, session: str):
    self._browser = browser
    self._session = session

  def call(self, method: str, **params):
    return self._browser.call(method, self._session, **params)

  def go(self, url: str) -> None:
    self.call("Page.navigate", url=url)
    self.wait(
        "document.readyState === 'complete' && location.href !== 'about:blank'"
    )

  def reload(self) -> None:
    self.evaluate("window.before = true")
    self.call("Page.reload")
    self.wait("!window.before && document.readyState === 'complete'")

  def evaluate(self, expression: str):
    """Value of a JavaScript expression."""
    found = self.call(
        "Runtime.evaluate",
        expression=expression,
        returnByValue=True,
        awaitPromise=True,
    )
    if "exceptionDetails" in found:
      raise RuntimeError(f"{expression}: {found['exceptionDetails']}")
    return found["result"].get("value")

  def wait(self, condition: str) -> None:
    """Until a JavaScript expression is true."""
    until = time.monotonic() + _SECONDS
    while True:
      with contextlib.suppress(RuntimeError):  # Between two pages.
        if self.evaluate(f"Boolean({condition})"):
          return
      if time.monotonic() > until:
        text = self.evaluate("document.body.innerText")
        raise RuntimeError(f"never true: {condition}; the page says: {text}")
      time.sleep(0.02)

  def press(self, key: str) -> None:
    """A key, such as "1" or "Tab"."""
    code = f"Digit{key}" if key.isdigit() else key
    event = {"key": key, "code": code}
    number = {"Tab": 9, "Enter": 13, " ": 32}.get(key, ord(key[0]))
    event["windowsVirtualKeyCode"] = number
    text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
    down = "keyDown" if text else "rawKeyDown"
    self.call("Input.dispatchKeyEvent", type=down, text=text, **event)
    self.call("Input.dispatchKeyEvent", type="keyUp", **event)

  def write(self, text: str) -> None:
    """Text into what has the focus."""
    self.call("Input.insertText", text=text)

  def click(self, selector: str) -> None:
    """The left button in the middle of an element that can be seen."""
    x, y = self.evaluate(
        f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
        " e.scrollIntoView({block: 'nearest'});"
        " const r = e.getBoundingClientRect();"
        " return [r.x + r.width / 2, r.y + r.height / 2]; })()"
    )
    for kind in ("mousePressed", "mouseReleased"):
      self.call(
          "Input.dispatchMouseEvent",
          type=kind,
          x=x,
          y=y,
          button="left",
          clickCount=1,
      )

  def size(self, width: int, height: int, *, mobile: bool = False) -> None:
    """Makes the window so large, in CSS pixels."""
    self.call(
        "Emulation.setDeviceMetricsOverride",
        width=width,
        height=height,
        deviceScaleFactor=2 if mobile else 1,
        mobile=mobile,
    )

  def screenshot(self, path: pathlib.Path) -> None:
    found = self.call("Page.captureScreenshot", format="png")
    pathlib.Path(path).write_bytes(base64.b64decode(found["data"]))


def _pipe() -> tuple[int, int]:
  """A pipe whose ends are out of the way of 3 and 4."""
  ends = os.pipe()
  moved = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends)
  for end in ends:
    os.close(end)
  return moved
