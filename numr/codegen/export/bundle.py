"""A bundle on disk: a folder of files and a manifest with their checksums, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from numr import messages

FORMAT = "numr-export 1"
MANIFEST = "manifest.json"


def write(folder: Path, manifest: Mapping[str, Any], contents: Mapping[str, bytes]) -> None:
    """Put a bundle in a folder, in place of one that is there.

    Raises:
        ExportError: if the folder holds something else.
    """
    if folder.exists() and not folder.is_dir():
        raise messages.cannot_export(f"{folder} is a file, and a bundle is a folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MANIFEST).is_file():
        raise messages.cannot_export(
            f"{folder} holds files that are no bundle",
            "name a new folder, or an earlier bundle, which is replaced",
        )
    whole = {
        "format": FORMAT,
        **manifest,
        "files": {name: _checksum(data) for name, data in sorted(contents.items())},
    }
    whole["checksum"] = _checksum(_text(whole).encode())
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        for name, data in {**contents, MANIFEST: _text(whole).encode()}.items():
            file = made / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        # As any folder that its user makes, not as one for secrets.
        made.chmod(0o777 & ~_umask())
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(made, folder)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _text(manifest: Mapping[str, Any]) -> str:
    return json.dumps(manifest, indent=1) + "\n"


def _checksum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def read(folder: Path) -> dict[str, Any]:
    """The manifest of a bundle all of whose files are as they were written.

    Raises:
        ExportError: if it is none, of another version, or damaged.
    """
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise messages.bad_bundle(
            folder, f"there is no {MANIFEST}", "give the folder that numr.export wrote"
        ) from None
    except ValueError:
        raise _damaged(folder, f"{MANIFEST} is damaged") from None
    found = manifest.get("format") if isinstance(manifest, dict) else None
    if found != FORMAT:
        raise messages.bad_bundle(
            folder,
            f"its format is {found!r}, and this numr reads {FORMAT!r}",
            "export it again with this version of numr, or load it with the one that wrote it",
        )
    checksum = manifest.pop("checksum", None)
    if _checksum(_text(manifest).encode()) != checksum:
        raise _damaged(folder, f"{MANIFEST} is not as it was written: its checksum differs")
    files = manifest.get("files")
    if not isinstance(files, dict) or not isinstance(manifest.get("functions"), list):
        raise _damaged(folder, f"{MANIFEST} is damaged")
    for name, checksum in files.items():
        inside = PurePosixPath(name)
        if inside.is_absolute() or ".." in inside.parts:
            raise _damaged(folder, f"{MANIFEST} names {name!r}, which is outside the bundle")
        try:
            data = (folder / name).read_bytes()
        except OSError:
            raise _damaged(folder, f"{name} is missing") from None
        if _checksum(data) != checksum:
            raise _damaged(folder, f"{name} is not as it was written: its checksum differs")
    return manifest


def _damaged(folder: Path, what: str) -> Exception:
    return messages.bad_bundle(folder, what, "export it again, or copy it again as a whole")
