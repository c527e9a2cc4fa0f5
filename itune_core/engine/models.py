"""One resolver for every way to name a model: ``embedded:NAME``, a local folder, a hub id, a trained artifact.

Finding and pinning need no torch; reading weights is `itune_torch`'s.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from itune_core.api.errors import ModelError
from itune_core.api.models import Architecture, ModelSource
from itune_core.engine import digest, embedded, home

HUB_FILES = ["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt"]
"""What is fetched of a hub repository: configuration, tokenizer, safetensors. Never pickled weights, never code."""


@dataclass(frozen=True)
class Resolver:
    """Finds the files of models.

    Attributes:
        digests: what knows the digests of files.
        offline: whether nothing may be fetched.
        base: the folder that relative paths start at (the recipe's).
    """

    digests: digest.FileDigests
    offline: bool
    base: Path

    def identity(self, spec: str, revision: str | None = None) -> str:
        """What pins the model that `spec` names. For an embedded model nothing is fetched to know it."""
        name = spec.removeprefix("embedded:")
        if name != spec and name in embedded.EMBEDDED:
            return f"sha256:{embedded.EMBEDDED[name].sha256}"
        return self.find(spec, revision).identity

    def find(self, spec: str, revision: str | None = None) -> ModelSource:
        """The source of the model that `spec` names, fetched if it is not on this machine.

        Raises:
            ModelError: ``E-MODEL-010`` to ``E-MODEL-013`` for embedded models; ``E-MODEL-014`` a folder without a
                model; ``E-MODEL-015`` a hub model that cannot be had.
        """
        cache = home.user_cache()
        if spec.startswith("embedded:"):
            name = spec.removeprefix("embedded:")
            files = embedded.fetch(name, cache, offline=self.offline)
            model = embedded.EMBEDDED[name]
            return ModelSource(
                files, model.layout, self.identity(spec), spec, cache=cache, architecture=model.architecture
            )
        path = (self.base / Path(spec).expanduser()).absolute()
        if spec.startswith((".", "/", "~")) or path.is_dir():
            return self.folder(path, spec)
        return self._hub(spec, revision, cache)

    def folder(self, path: Path, spec: str) -> ModelSource:
        """The source of a model saved in a local folder."""
        if not (path / "config.json").is_file():
            raise ModelError(
                "E-MODEL-014",
                f"no model in {spec!r}",
                where=str(path),
                why="there is no config.json" if path.is_dir() else "the folder does not exist",
                fix="name a folder written by save_pretrained(), a hub id, or embedded:NAME",
            )
        return _saved(path, self.digests.of_model(path), spec, home.user_cache())

    def trained(self, artifact: Path, manifest: Mapping[str, Any], base: ModelSource | None, name: str) -> ModelSource:
        """The source of a model that a step trained; `base` is what an adapter sits on."""
        files = artifact / "model"
        identity = str(manifest["outputs"]["model"]["digest"])
        if base is None:
            return ModelSource(
                files, "transformers", identity, name, cache=home.user_cache(), architecture=manifest["architecture"]
            )
        return replace(
            base,
            adapter=files,
            base_identity=base.identity,
            identity=identity,
            spec=name,
            architecture=manifest["architecture"],
        )

    def _hub(self, spec: str, revision: str | None, cache: Path) -> ModelSource:
        import httpx
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

        try:
            files = Path(
                snapshot_download(spec, revision=revision, allow_patterns=HUB_FILES, local_files_only=self.offline)
            )
        except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, httpx.HTTPError, OSError) as error:
            raise ModelError(
                "E-MODEL-015",
                f"the model {spec!r} cannot be had from the hub",
                why=str(error).splitlines()[0] if str(error) else type(error).__name__,
                fix="run `itune fetch RECIPE` with a connection; a folder is written ./NAME; no hub: embedded:NAME",
            ) from error
        return _saved(files, f"hub:{spec}@{files.name}", spec, cache)


def _saved(files: Path, identity: str, spec: str, cache: Path) -> ModelSource:
    """The source of a folder as its library saved it."""
    if (files / "modules.json").is_file():
        return ModelSource(files, "sentence-transformers", identity, spec, cache=cache, architecture="embedding")
    return ModelSource(
        files, "transformers", identity, spec, cache=cache, architecture=_architecture(files / "config.json")
    )


def _architecture(config: Path) -> Architecture:
    """What a saved model computes. That a head over whole sequences gives one number, and is no classifier, is seen
    when it is loaded."""
    saved = json.loads(config.read_text("utf-8")) if config.is_file() else {}
    if any(name.endswith("ForSequenceClassification") for name in saved.get("architectures") or ()):
        return "reward"
    return "seq2seq" if saved.get("is_encoder_decoder") else "causal"
