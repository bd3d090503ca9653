"""The disk store: whatever is on disk, a get is the very payload that was put, or a miss."""

from __future__ import annotations

import multiprocessing
import os
import time
import warnings
from pathlib import Path
from typing import Any

import pytest

from numr import config
from numr.codegen import store
from numr.errors import CacheWarning


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NUMR_CACHE_DIR", str(tmp_path / "store"))
    monkeypatch.delenv("NUMR_CACHE", raising=False)
    monkeypatch.setattr(store, "counters", store.Counters())
    monkeypatch.setattr(store, "_warned", False)
    return tmp_path / "store"


def _only_file(folder: Path) -> Path:
    (found,) = (p for p in folder.rglob("*") if p.is_file())
    return found


def test_round_trip_and_counters(own_folder: Path) -> None:
    assert store.get("cpu", "key") is None
    store.put("cpu", "key", b"payload")
    assert store.get("cpu", "key") == b"payload"
    assert store.get("cuda", "key") is None
    assert store.counters == store.Counters(hits=1, misses=2, writes=1)
    path = _only_file(own_folder)
    assert path.relative_to(own_folder).parts[:2] == (store.FORMAT, "cpu")
    assert path.parent.name == path.name[:2]
    store.put("cpu", "empty", b"")
    assert store.get("cpu", "empty") == b""


def test_any_damage_is_a_miss(own_folder: Path) -> None:
    store.put("cpu", "key", b"payload" * 10)
    path = _only_file(own_folder)
    good = path.read_bytes()
    for cut in range(0, len(good), 7):
        path.write_bytes(good[:cut])
        assert store.get("cpu", "key") is None
    for at in range(0, len(good), 5):
        path.write_bytes(good[:at] + bytes([good[at] ^ 0x40]) + good[at + 1 :])
        assert store.get("cpu", "key") is None
    path.write_bytes(good + b"more")
    assert store.get("cpu", "key") is None
    path.write_bytes(os.urandom(4096))
    assert store.get("cpu", "key") is None
    assert store.counters.rejected > 20
    store.put("cpu", "key", b"payload")
    assert store.get("cpu", "key") == b"payload"


def test_another_keys_file_is_a_miss(own_folder: Path) -> None:
    store.put("cpu", "one", b"1")
    one = _only_file(own_folder)
    raw = one.read_bytes()
    one.unlink()
    store.put("cpu", "two", b"2")
    _only_file(own_folder).write_bytes(raw)
    assert store.get("cpu", "two") is None


def test_a_folder_in_the_place_of_a_file(own_folder: Path) -> None:
    store.put("cpu", "key", b"1")
    path = _only_file(own_folder)
    path.unlink()
    path.mkdir()
    assert store.get("cpu", "key") is None
    with pytest.warns(CacheWarning, match="cannot write its cache folder"):
        store.put("cpu", "key", b"1")


def test_modes(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put("cpu", "key", b"1")
    monkeypatch.setenv("NUMR_CACHE", "read")
    store.put("cpu", "other", b"2")
    assert store.get("cpu", "other") is None
    assert store.get("cpu", "key") == b"1"
    monkeypatch.setenv("NUMR_CACHE", "off")
    assert store.get("cpu", "key") is None


def test_an_unwritable_folder_is_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("NUMR_CACHE_DIR", str(blocked))
    with pytest.warns(CacheWarning, match="NUMR_CACHE_DIR"):
        store.put("cpu", "key", b"1")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store.put("cpu", "key", b"1")
        assert store.get("cpu", "key") is None
    assert store.clear() == 0


def test_trim_drops_the_least_recently_used(own_folder: Path) -> None:
    for number in range(5):
        store.put("cpu", f"key {number}", bytes(1000))
        path = Path(store._path("cpu", f"key {number}"))
        old = time.time() - 100_000 + number
        os.utime(path, (old, old))
    assert store.get("cpu", "key 0") is not None, "a hit on an old file renews it"
    one = store.size() // 5
    assert store.trim(limit=one * 2) == 3
    kept = [n for n in range(5) if store.get("cpu", f"key {n}") is not None]
    assert kept == [0, 4]
    assert store.clear() == 2
    assert store.size() == 0


def _fill(folder: str, seed: int, result: Any) -> None:
    os.environ["NUMR_CACHE_DIR"] = folder
    wrong = 0
    for _ in range(20):
        for number in range(10):
            payload = f"payload {number}".encode() * 500
            got = store.get("cpu", f"shared {number}")
            wrong += got is not None and got != payload
            store.put("cpu", f"shared {number}", payload)
    result.put(wrong)


def test_many_processes_fill_one_store(own_folder: Path) -> None:
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    workers = [
        context.Process(target=_fill, args=(str(own_folder), seed, results)) for seed in range(4)
    ]
    for worker in workers:
        worker.start()
    assert [results.get(timeout=60) for _ in workers] == [0] * 4
    for worker in workers:
        worker.join()
    files = [p for p in own_folder.rglob("*") if p.is_file()]
    assert len(files) == 10, "no temporary file is left"


def test_default_folder_follows_the_platform(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("NUMR_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    assert store.root() == tmp_path / "numr"


def test_an_override_reaches_the_store(own_folder: Path, tmp_path: Path) -> None:
    store.put("cpu", "key", b"1")
    with config.override(cache="off"):
        assert store.get("cpu", "key") is None
    with config.override(cache_dir=str(tmp_path / "other")):
        assert store.get("cpu", "key") is None
        store.put("cpu", "key", b"2")
        assert store.get("cpu", "key") == b"2"
    assert store.get("cpu", "key") == b"1"
