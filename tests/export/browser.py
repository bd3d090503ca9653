"""A headless Chromium with WebGPU by SwiftShader, driven through chromedriver, and a server of files for it."""

from __future__ import annotations

import functools
import http.server
import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

# What makes WebGPU run on the host's processors.
ARGUMENTS = [
    "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1000,1000",
    "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan",
]  # fmt: skip
TYPES = {
    "bool": "Uint8Array", "float16": "Uint16Array", "complex64": "Float32Array",
}  # fmt: skip
# Values as JSON: an array is [name of its type, its bytes in hexadecimal].
GLUE = """
const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (x) => parseInt(x, 16)).buffer;
const made = (x) => x?.bytes !== undefined ? new globalThis[x.type](bytes(x.bytes))
  : Array.isArray(x) ? x.map(made) : x && typeof x === "object"
  ? Object.fromEntries(Object.entries(x).map(([k, v]) => [k, made(v)])) : x;
const hex = (x) =>
  [...new Uint8Array(x.buffer, x.byteOffset, x.byteLength)].map((b) => b.toString(16).padStart(2, "0")).join("");
const told = (x) => ArrayBuffer.isView(x) ? {type: x.constructor.name, bytes: hex(x)}
  : Array.isArray(x) ? x.map(told) : x && typeof x === "object"
  ? Object.fromEntries(Object.entries(x).map(([k, v]) => [k, told(v)])) : x;
"""
CALLS = (
    GLUE
    + """
const model = await (window.models ??= {})[args[0]] ?? await (window.models[args[0]] = (await import(args[0])).load());
const found = [];
for (const [name, given] of args[1]) {
  const result = model[name](made(given)).then((value) => ({value: told(value)}));
  found.push(await result.catch((error) => ({error: error.message})));
}
return found;
"""
)


class Browser:
    """One session; files under `root` are at `/`."""

    def __init__(self, root: Path) -> None:
        program = shutil.which("chromedriver")
        assert program, (
            "the tests need chromium and chromium-driver: `make browser` installs them on Debian"
        )
        handler = functools.partial(_Quiet, directory=str(root))
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self._driver = subprocess.Popen(
            [program, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._url = f"http://127.0.0.1:{port}"
        self._session = ""
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def _begin(self) -> None:
        for _ in range(200):
            try:
                self._call("GET", "/status")
                break
            except OSError:
                time.sleep(0.05)
        options = {
            "goog:chromeOptions": {"args": ARGUMENTS},
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        made = self._call("POST", "/session", {"capabilities": {"alwaysMatch": options}})
        self._session = f"/session/{made['sessionId']}"
        self._call("POST", f"{self._session}/timeouts", {"script": 300_000})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        try:
            if self._session:
                self._call("DELETE", self._session)
        finally:
            self._driver.terminate()
            self._driver.wait()
            self._server.shutdown()
            self._server.server_close()

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self._url + path, data, {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=400) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"]) from None

    def open(self, path: str) -> None:
        """Go to a page."""
        url = f"http://localhost:{self._server.server_port}{path}"
        self._call("POST", f"{self._session}/url", {"url": url})

    def run(self, script: str, *args: Any) -> Any:
        """What an asynchronous function with this body returns, of `args`."""
        whole = (
            "const done = arguments[arguments.length - 1], args = [...arguments].slice(0, -1);"
            f"(async () => {{{script}}})()"
            ".then((value) => done({value}), (e) => done({error: String(e?.stack ?? e)}))"
        )
        found = self._call(
            "POST", f"{self._session}/execute/async", {"script": whole, "args": list(args)}
        )
        assert "error" not in found, found["error"]
        return found.get("value")

    def calls(self, module: str, given: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Any]:
        """Call functions of a bundle: results as nestings of arrays, or `{"error": message}`."""
        found = self.run(CALLS, module, [[name, _told(args)] for name, args in given])
        return [_made(x["value"]) if "value" in x else x for x in found]

    def drag(self, points: Sequence[tuple[int, int]]) -> None:
        """Move the mouse along points of the window with its button down."""

        def to(point: tuple[int, int]) -> dict[str, Any]:
            return {"type": "pointerMove", "duration": 0, "x": point[0], "y": point[1]}

        first, *rest = points
        down, up = ({"type": f"pointer{k}", "button": 0} for k in ("Down", "Up"))
        actions = [to(first), down, *map(to, rest), up]
        mouse = {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}}
        self._call("POST", f"{self._session}/actions", {"actions": [{**mouse, "actions": actions}]})

    def complaints(self) -> list[str]:
        """What the console has shown since it was asked last."""
        return [
            x["message"] for x in self._call("POST", f"{self._session}/se/log", {"type": "browser"})
        ]


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None: ...


def _told(value: Any) -> Any:
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {k: _told(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        name = value.dtype.name
        kind = TYPES.get(name) or f"{name.capitalize()}Array"
        return {"type": kind, "bytes": value.tobytes().hex()}
    if isinstance(value, np.generic):
        return value.item()
    return [_told(v) for v in value] if isinstance(value, (list, tuple)) else value


def _made(value: Any) -> Any:
    if isinstance(value, dict) and "bytes" in value:
        dtype = value["type"].removesuffix("Array").lower()
        return np.frombuffer(bytes.fromhex(value["bytes"]), dtype)
    if isinstance(value, dict):
        return {k: _made(v) for k, v in value.items()}
    return [_made(v) for v in value] if isinstance(value, list) else value
