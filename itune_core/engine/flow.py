"""How data flows between the artifacts of a plan or of a past run: from a node's output to the view it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from itune_core.api.records import Kind
from itune_core.engine.mixing import mixed
from itune_core.engine.store import Artifact
from itune_core.engine.views import Base, View
from itune_core.recipe.plan import Feed

COLUMNS, MASK, DRAWS = "columns.arrow", "mask.npy", "draws.npy"


class Node(Protocol):
    """What is needed of a step; a plan's nodes have it, and a run's record keeps it."""

    @property
    def name(self) -> str: ...
    @property
    def step(self) -> str: ...
    @property
    def stage(self) -> str: ...
    @property
    def kinds(self) -> tuple[Kind, ...]: ...
    @property
    def inputs(self) -> Mapping[str, tuple[Feed, ...]]: ...


class Flow:
    """Nodes, and the artifacts of those that are made.

    Args:
        nodes: by name.
        artifacts: by node name; filled as steps are published.
    """

    def __init__(self, nodes: Mapping[str, Node], artifacts: Mapping[str, Artifact]) -> None:
        self.nodes, self.artifacts = nodes, artifacts

    def view(self, name: str, output: str) -> View:
        """The rows that an output stands for."""
        node, artifact = self.nodes[name], self.artifacts[name]
        if node.stage in ("formatters", "generators"):
            return self._records(node, artifact)
        if node.stage == "scorers":
            return self.input(name)[0].join(_read_columns(artifact))
        if node.stage == "filters":
            return self._filtered(name, artifact, output)
        if node.stage == "mixers":
            return self._mixed(name, artifact)
        raise TypeError(f"{name} is of stage {node.stage}, which gives no records")

    def input(self, name: str, which: str | None = None) -> list[View]:
        """The views an input reads (the first input if not named), cast to what the component takes."""
        feeds = self.nodes[name].inputs
        feed = feeds[which] if which is not None else next(iter(feeds.values()))
        return [self.view(item.node, item.output).cast(item.cast) for item in feed]

    def _records(self, node: Node, artifact: Artifact) -> View:
        import numpy as np

        if len(node.kinds) != 1:
            raise TypeError(f"{node.name} makes records of no kind")
        rows = artifact.manifest["outputs"]["records"]["rows"]
        return View((Base(artifact.folder, node.kinds[0]),), np.arange(rows))

    def _filtered(self, name: str, artifact: Artifact, output: str) -> View:
        import numpy as np

        mask = np.load(artifact.folder / MASK, allow_pickle=False)
        number = artifact.manifest["outputs"][output]["number"]
        return self.input(name)[0].select(np.flatnonzero(mask == number))

    def _mixed(self, name: str, artifact: Artifact) -> View:
        import numpy as np

        views = [view for which in artifact.manifest["drawn_from"] for view in self.input(name, which)]
        return mixed(views, np.load(artifact.folder / DRAWS, allow_pickle=False))


def _read_columns(artifact: Artifact) -> dict[str, Any]:
    import pyarrow as pa

    with pa.memory_map(str(artifact.folder / COLUMNS)) as source:
        table = pa.ipc.open_file(source).read_all()
    return {name: table.column(name).combine_chunks() for name in table.column_names}
