"""A plan meets a machine: settled configs, model sources, artifact keys. What `plan`, `cache why` and `run` share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from itune_core.api.components import Component
from itune_core.api.errors import ModelError
from itune_core.api.fields import INPUT_FILE
from itune_core.api.models import ModelSource
from itune_core.api.outcomes import Rule
from itune_core.api.resources import Backend
from itune_core.engine import digest, keys
from itune_core.engine.errors import RunError
from itune_core.engine.extensions import Extension
from itune_core.engine.facts import MachineFacts
from itune_core.engine.flow import Flow
from itune_core.engine.home import Home
from itune_core.engine.mixing import ORDER
from itune_core.engine.models import Resolver
from itune_core.engine.opened import Served
from itune_core.engine.store import Artifact, Store
from itune_core.engine.views import column_digest
from itune_core.recipe.plan import Feed, ModelNode, Plan, StepNode


@dataclass
class Project:
    """A plan on this machine.

    Attributes:
        plan: what to do.
        home: where it is kept.
        offline: whether nothing may be fetched.
        extensions: those the recipe turns on.
        artifacts: of the nodes known to be made, by node name; :meth:`find` fills it.
    """

    plan: Plan
    home: Home
    offline: bool = False
    extensions: Sequence[Extension] = ()
    artifacts: dict[str, Artifact] = field(default_factory=dict)

    @cached_property
    def store(self) -> Store:
        return Store(self.home)

    @cached_property
    def facts(self) -> MachineFacts:
        return MachineFacts(self.home.machine)

    @cached_property
    def digests(self) -> digest.FileDigests:
        return digest.FileDigests(self.home.digests)

    @cached_property
    def resolver(self) -> Resolver:
        return Resolver(self.digests, self.offline, self.plan.file.resolve().parent)

    @cached_property
    def flow(self) -> Flow:
        return Flow(self.plan.nodes, self.artifacts)

    @cached_property
    def _components(self) -> dict[str, Component]:
        return {}

    def component(self, node: StepNode) -> Component:
        """The node's component, its ``auto`` settings settled for this machine."""
        if node.name not in self._components:
            settled = node.component(node.config).settle(self.facts)
            self._components[node.name] = node.component(settled)
        return self._components[node.name]

    def settled(self) -> Mapping[str, Mapping[str, Any]]:
        """What :meth:`component` has put into settings that the recipe leaves open: by node, then by setting."""
        written = self.plan.nodes
        return {
            name: {
                change.path: change.new for change in keys.changes(_plain(written[name].config), _plain(made.config))
            }
            for name, made in self._components.items()
        }

    def find(self, node: StepNode) -> tuple[str, dict[str, Any]] | None:
        """The key of a node and its parts; None while an artifact it depends on is not made.

        Where the store holds the key, the artifact is noted in :attr:`artifacts`.
        """
        needed = [feed.node for feeds in node.inputs.values() for feed in feeds]
        needed += [name for name in (*node.models, *node.steps) if name in self.plan.nodes]
        if any(name not in self.artifacts for name in needed):
            return None
        component = self.component(node)
        parts = keys.key_parts(
            component,
            node.entry,
            inputs={name: [self._feed(feed, component, name) for feed in feeds] for name, feeds in node.inputs.items()},
            file=self.digests.of,
            model=self.identity,
            step=lambda name: digest.of_value(self.artifacts[name].manifest["outputs"]),
            seed=node.seed,
            wrappers=[item.key_part(self.digests.of) for item in self.extensions if item.wraps(node.stage)],
        )
        if node.stage == "scorers":  # columns are called after the step
            parts["columns"] = f"score.{node.step}"
        key = digest.of_value(parts)
        artifact = self.store.get(key)
        if artifact is not None:
            self.artifacts[node.name] = artifact
        return key, parts

    def _feed(self, feed: Feed, component: Component, which: str) -> dict[str, Any]:
        published = self.artifacts[feed.node].manifest["outputs"][feed.output]
        wanted = component.reads() if component.inputs[which].scored else ()
        # not from the manifest: what hands a column on may have been made before another scorer filled it
        columns = self.flow.view(feed.node, feed.output).without(ORDER).columns if wanted else {}
        read = {}
        for name in wanted:
            if name not in columns:
                raise RunError(
                    "E-RUN-014",
                    f"reads the column {name!r}, which {feed.node} does not have",
                    where=f"{component.stage}/{type(component).__name__}",
                    why=f"it has {sorted(columns) or 'none'}",
                    fix="put the scorer before this step, or correct the column's name",
                )
            read[name] = column_digest(columns[name])
        return {"rows": published["digest"], "cast": feed.cast, "columns": read}

    def source(self, name: str) -> ModelSource:
        """Where the weights of a model or of a trained step are, fetched if they are not here.

        Raises:
            ModelError: as :meth:`Resolver.find`; ``E-MODEL-016`` the model is served by somebody else; ``E-MODEL-017``
                the base of an adapter is not what it was trained on.
        """
        if name in self.plan.models:
            model = self.plan.models[name]
            if not model.component.needs_weights:
                raise ModelError(
                    "E-MODEL-016",
                    f"the model {name!r} is served over the network: its weights are not here",
                    where=f"models.{name}",
                    fix="name a model of backend transformers",
                )
            return self.resolver.find(model.config.model, model.config.revision)
        artifact = self.artifacts[name]
        return self._trained(artifact, name)

    def rule(self, name: str) -> Rule:
        """The rule that a step left.

        Raises:
            RunError: ``E-RUN-021`` it left none.
        """
        found = self.artifacts[name].manifest.get("rule")
        if found is None:
            raise RunError(
                "E-RUN-021",
                f"the step {name!r} left no rule",
                why=f"it is a {self.artifacts[name].manifest['component']}, and only some evaluators fit one",
                fix="name a step that fits one, of evaluators/rule-fit, say",
            )
        return Rule(**found)

    def _trained(self, artifact: Artifact, name: str) -> ModelSource:
        pointer = artifact.manifest["base"]
        if pointer is None:
            return self.resolver.trained(artifact.folder, artifact.manifest, None, name)
        if "artifact" in pointer:
            found = self.store.get(pointer["artifact"])
            if found is None:
                raise ModelError(
                    "E-MODEL-017",
                    f"the model that the adapter of {name!r} sits on is no longer in the store",
                    where=str(artifact.folder),
                    fix="run the recipe again",
                )
            base = self._trained(found, name)
        else:
            base = self.resolver.find(pointer["spec"], pointer["revision"])
        if base.identity != pointer["identity"]:
            raise ModelError(
                "E-MODEL-017",
                f"the model that the adapter of {name!r} sits on has changed",
                where=str(base.files),
                why=f"it was trained on {pointer['identity']}, here is {base.identity}",
                fix="restore the model, or run the recipe again",
            )
        return self.resolver.trained(artifact.folder, artifact.manifest, base, name)

    def base_pointer(self, name: str) -> dict[str, Any]:
        """How an adapter's manifest finds again what it sits on: the weights under the model or step `name`."""
        if name in self.plan.models:
            config = self.plan.models[name].config
            return {"spec": config.model, "revision": config.revision, "identity": self.source(name).identity}
        artifact = self.artifacts[name]
        below: dict[str, Any] | None = artifact.manifest["base"]
        if below is not None:  # the adapter was trained further: it sits where its parent sat
            return below
        return {"artifact": artifact.key, "identity": artifact.digest("model")}

    def _entry(self, name: str) -> ModelNode:
        """The ``models:`` entry behind a name: a trained step is asked as the model it was trained from is."""
        while name not in self.plan.models:
            name = self.plan.nodes[name].models[0]
        return self.plan.models[name]

    def backend(self, name: str) -> Backend:
        """A backend for the model `name`, configured and settled, not yet open."""
        entry = self._entry(name)
        if entry.name not in self._settled:
            self._settled[entry.name] = entry.component(entry.config).settle(self.facts)
        return entry.component(self._settled[entry.name])

    @cached_property
    def _settled(self) -> dict[str, Any]:
        return {}

    def identity(self, name: str) -> str:
        """What pins a model and how it is asked: enters artifact and journal keys."""
        backend = self.backend(name)
        options = keys.settings(backend.config, {INPUT_FILE: keys.contents(self.digests.of)})
        for where in ("model", "revision"):
            del options[where]
        weights = self._weights(name) if backend.needs_weights else backend.served_identity()
        pinned = keys.dependencies(backend)
        return digest.of_value([self._entry(name).backend, weights, options, *([pinned] if pinned else [])])

    def _weights(self, name: str) -> str:
        if name in self.plan.models:
            config = self.plan.models[name].config
            return self.resolver.identity(config.model, config.revision)
        return self.artifacts[name].digest("model")

    def served(self, name: str) -> Served:
        """The model `name`, ready to be opened and asked."""
        backend = self.backend(name)
        source = self.source(name) if backend.needs_weights else None
        return Served(backend, source, self.identity(name))

    def states(self) -> Mapping[str, str]:
        """What a run would do with each node: ``cached``, ``run``, ``waits`` for one that runs before it, or ``fetch``
        a model first, without which the node's key is not known."""
        found = {}
        for node in self.plan.nodes.values():
            try:
                key = self.find(node)
            except ModelError:
                found[node.name] = "fetch"
                continue
            found[node.name] = "waits" if key is None else "cached" if node.name in self.artifacts else "run"
        return found


def _plain(config: Any) -> Any:
    return config.model_dump(mode="json")
