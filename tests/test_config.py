"""Settings: environment variables, updates, overrides by thread, and what enters a cache key."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from numr import config
from numr.errors import ConfigError

OTHER: dict[str, Any] = {
    "default_float": "float32",
    "default_device": "reference",
    "fast_math": True,
    "deterministic": False,
    "node_limit": 17,
    "cache": "read",
    "cache_dir": "elsewhere",
    "cache_limit": 12345,
    "num_threads": 63,
    "debug": "graph,kernel",
    "check": True,
}


def test_every_setting_is_tagged_and_tested() -> None:
    assert set(OTHER) == set(config.FIELDS)
    for field in config.FIELDS.values():
        assert field.metadata["tags"]
        assert set(field.metadata["tags"]) <= set(config.TAGS)


@pytest.mark.parametrize("name", OTHER)
def test_environment(name: str) -> None:
    text = "1" if OTHER[name] is True else str(OTHER[name])
    read = config.from_environment({f"NUMR_{name.upper()}": text})
    given = config.Config(**{name: OTHER[name]})
    assert getattr(read, name) == getattr(given, name)
    assert getattr(read, name) != getattr(config.from_environment({}), name)


@pytest.mark.parametrize("name", OTHER)
def test_fingerprints_change_with_their_settings_only(name: str) -> None:
    tags = config.FIELDS[name].metadata["tags"]
    plain = config.Config()
    changed = config.Config(**{name: OTHER[name]})
    for tag in ("trace", "program", "kernel"):
        assert (plain.fingerprint(tag) != changed.fingerprint(tag)) == (tag in tags)


def test_no_cache_depends_on_runtime_settings() -> None:
    with pytest.raises(ValueError, match="'runtime'"):
        config.fingerprint("runtime")


@pytest.mark.parametrize(
    ("variable", "text", "said"),
    [
        ("NUMR_DEFAULT_FLOAT", "float16", "it must be float64 or float32"),
        ("NUMR_FAST_MATH", "perhaps", "it must be 0 or 1"),
        ("NUMR_NODE_LIMIT", "0", "it must be a whole number, 1 or more"),
        ("NUMR_NUM_THREADS", "two", "it must be a whole number, 1 or more"),
        ("NUMR_CACHE", "maybe", "it must be on or off or read"),
        ("NUMR_DEBUG", "graph,grph", "it must be any of graph, rewrite, fuse"),
    ],
)
def test_bad_environment(variable: str, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=f"{variable} is '{text}'; {said}"):
        config.from_environment({variable: text})


def test_bad_values() -> None:
    before = config.get()
    with pytest.raises(ConfigError, match=r"node_limit is 2\.5; it must be a whole number"):
        config.update(num_threads=1, node_limit=2.5)
    with pytest.raises(ConfigError, match="num_threads is True"):
        config.update(num_threads=True)
    with pytest.raises(ConfigError, match="there is no setting 'threads'; there are default_float"):
        config.update(threads=1)
    with pytest.raises(ConfigError, match="debug is 3"), config.override(debug=3):
        pass
    assert config.get() is before


def test_values_are_normalised(tmp_path: Path) -> None:
    made = config.Config(debug="graph | launch", cache="OFF", cache_dir=tmp_path)  # type: ignore[arg-type]
    assert made.debug == {"graph", "launch"}
    assert made.cache == "off"
    assert made.cache_dir == str(tmp_path)
    assert config.Config(debug="all").debug == set(config.STAGES)  # type: ignore[arg-type]
    assert config.Config(debug={"fuse"}).debug == frozenset({"fuse"})  # type: ignore[arg-type]
    assert config.Config(cache_dir="~/x").cache_dir == os.path.expanduser("~/x")


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="the folders of other systems")
def test_default_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert config.Config().cache_dir == "/somewhere/numr"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert config.Config().cache_dir == os.path.expanduser("~/.cache/numr")


def test_it_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.get().fast_math = True  # type: ignore[misc]


def test_overrides_nest_and_end() -> None:
    before = config.get()
    with config.override(node_limit=10):
        with config.override(num_threads=7) as inner:
            assert (inner.node_limit, inner.num_threads) == (10, 7)
            assert config.get() is inner
        assert config.get().num_threads == before.num_threads
        with pytest.raises(RuntimeError), config.override(node_limit=20):
            raise RuntimeError
        assert config.get().node_limit == 10
    assert config.get() is before


def test_overrides_stay_in_their_thread() -> None:
    seen = []
    with config.override(node_limit=10):
        thread = threading.Thread(target=lambda: seen.append(config.get().node_limit))
        thread.start()
        thread.join()
    assert seen == [config.get().node_limit]


def test_update_inside_an_override() -> None:
    limit, threads = config.get().node_limit, config.get().num_threads
    try:
        with config.override(num_threads=7):
            config.update(node_limit=11)
            assert (config.get().node_limit, config.get().num_threads) == (11, 7)
        assert (config.get().node_limit, config.get().num_threads) == (11, threads)
    finally:
        config.update(node_limit=limit)


def test_a_bad_variable_is_named_on_import() -> None:
    code = "import numr.config"
    env = dict(os.environ, NUMR_CACHE="sometimes")
    folder = Path(config.__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", code], env=env, cwd=folder, capture_output=True)
    assert done.returncode != 0
    assert b"ConfigError: NUMR_CACHE is 'sometimes'; it must be on or off or read" in done.stderr
