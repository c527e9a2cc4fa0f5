"""Four trackers, each a thin writer under :class:`itune_extensions.forwarding.Forwarding`."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from itune_core.api import ComponentConfig
from itune_extensions.forwarding import Forwarding

MLFLOW_BATCH = 500
"""Points sent to MLflow at once, at most; it takes a thousand."""
MLFLOW_EVERY = 2.0
"""Seconds between two sendings while a step goes on."""

SERVERS = ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL", "TRACKIO_WEBHOOK_URL", "TRACKIO_BUCKET_ID", "TRACKIO_DATASET_ID")
"""Variables by which Trackio would choose where to send a run."""


class ProjectConfig(ComponentConfig):
    """What trackers have that gather runs in projects."""

    project: str | None = Field(None, min_length=1, description="Where runs are gathered; the recipe's name if unset.")


class TensorBoard(Forwarding):
    """Follows a run as TensorBoard event files, without torch, TensorFlow or a network. Source: tensorboardX.

    The files lie in the run's folder, so ``tensorboard --logdir .itune/runs`` shows every run of a project. Curves are
    over the steps' own positions; figures of finished steps stand at position 0.
    """

    library = "tensorboardX"
    extra = "tensorboard"

    class Config(ComponentConfig):
        folder: str | None = Field(
            None, description="Folder to write into, one folder in it for each run; that of the run itself if unset."
        )

    def open(self, run: str, folder: Path, settings: Mapping[str, str | int]) -> None:
        from tensorboardX import SummaryWriter

        target = Path(self.config.folder) / run if self.config.folder else folder / "tensorboard"
        self._writer = SummaryWriter(str(target))
        for name, value in settings.items():
            self._writer.add_text(name, str(value), 0)

    def curve(self, step: str, figures: Mapping[str, float], position: int) -> None:
        for name, value in figures.items():
            self._writer.add_scalar(name, value, position)

    def final(self, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            self._writer.add_scalar(name, value, 0)
        self._writer.flush()

    def close(self, failed: bool) -> None:
        self._writer.add_scalar("failed", float(failed), 0)
        self._writer.close()


class Trackio(Forwarding):
    """Follows a run in Trackio's local database, which ``trackio show`` shows. Source: the `trackio` package.

    Nothing is sent anywhere unless `space` is set: the variables by which Trackio itself would choose a server are not
    heeded, and the Hub is not asked whose token it is. Machine metrics are not gathered.
    """

    library = extra = "trackio"

    class Config(ProjectConfig):
        space: str | None = Field(
            None, description="Hugging Face Space, OWNER/NAME, to send the run to; local only if unset."
        )

    def open(self, run: str, folder: Path, settings: Mapping[str, str | int]) -> None:
        import trackio

        with _quiet(), _unset(*SERVERS), nullcontext() if self.config.space else _hub_offline():
            self._run = trackio.init(
                project=self.config.project or str(settings["recipe"]),
                name=run,
                config=dict(settings),
                space_id=self.config.space,
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )

    def curve(self, step: str, figures: Mapping[str, float], position: int) -> None:
        self._run.log(dict(figures), step=position)

    def final(self, figures: Mapping[str, float]) -> None:
        self._run.log(dict(figures))

    def close(self, failed: bool) -> None:
        import trackio

        with _quiet():
            self._run.log({"failed": float(failed)})
            trackio.finish()  # of the run itself it would not know, and finish it again, aloud, when Python ends


class Wandb(Forwarding):
    """Follows a run in Weights & Biases. Source: the `wandb` package.

    Offline, what is logged lies under ``wandb/`` in the run's folder until ``wandb sync`` sends it. Neither the
    console, nor code, git state, installed packages or facts of the machine are recorded; wandb's reports of its own
    errors are off, unless ``WANDB_ERROR_REPORTING`` is set. Curves are over the steps' own positions, figures
    of finished steps are the run's summary. `online` takes the account from wandb's own settings (``wandb login``).
    """

    library = extra = "wandb"

    class Config(ProjectConfig):
        entity: str | None = Field(None, description="User or team that owns the project; wandb's default if unset.")
        mode: Literal["offline", "online"] = Field(
            "offline", description="Whether the run is sent while it goes on; offline opens no connection."
        )

    def open(self, run: str, folder: Path, settings: Mapping[str, str | int]) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # read as it is imported, and by its own process

        import wandb

        quiet = wandb.Settings(
            silent=True,
            console="off",
            disable_code=True,
            disable_git=True,
            save_code=False,
            x_disable_meta=True,
            x_disable_stats=True,
            x_save_requirements=False,
        )
        self._known: set[str] = set()
        self._run = wandb.init(
            project=self.config.project or str(settings["recipe"]),
            entity=self.config.entity,
            name=run,
            dir=str(folder),
            mode=self.config.mode,
            config=dict(settings),
            settings=quiet,
        )

    def curve(self, step: str, figures: Mapping[str, float], position: int) -> None:
        axis = f"{step}/done"
        if step not in self._known:  # wandb's own counter only grows; each step has an axis of its own
            self._run.define_metric(axis)
            self._run.define_metric(f"{step}/*", step_metric=axis)
            self._known.add(step)
        self._run.log({**figures, axis: position})

    def final(self, figures: Mapping[str, float]) -> None:
        self._run.summary.update(dict(figures))

    def close(self, failed: bool) -> None:
        self._run.finish(exit_code=int(failed))


class MLflow(Forwarding):
    """Follows a run in MLflow. Source: the `mlflow` package; its light form, mlflow-skinny, will do.

    Unless `tracking_uri` names a server, runs go to the SQLite database ``mlflow.db`` in the project's ``.itune``
    folder: ``mlflow ui --backend-store-uri sqlite:///.itune/mlflow.db``. A server's user and password are taken from
    ``MLFLOW_TRACKING_USERNAME`` and ``MLFLOW_TRACKING_PASSWORD``, never from the recipe. MLflow's telemetry is off,
    unless ``MLFLOW_DISABLE_TELEMETRY`` is set.
    """

    library = extra = "mlflow"

    class Config(ProjectConfig):
        tracking_uri: str | None = Field(
            None, description="Where runs are kept: a server's address or sqlite:///FILE; .itune/mlflow.db if unset."
        )

    def open(self, run: str, folder: Path, settings: Mapping[str, str | int]) -> None:
        import logging

        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # it begins as it is imported

        from mlflow import MlflowClient

        logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)  # it tells of every table it makes
        project = self.config.project or str(settings["recipe"])
        home = folder.parent.parent
        local = self.config.tracking_uri is None
        self._client = MlflowClient(tracking_uri=self.config.tracking_uri or f"sqlite:///{home / 'mlflow.db'}")
        found = self._client.get_experiment_by_name(project)
        place = (home / "mlflow").as_uri() if local else None
        experiment = found.experiment_id if found else self._client.create_experiment(project, artifact_location=place)
        self._id = self._client.create_run(experiment, run_name=run).info.run_id
        self._waiting: list[Any] = []
        self._due = 0.0
        for name, value in settings.items():
            self._client.log_param(self._id, name, value)

    def curve(self, step: str, figures: Mapping[str, float], position: int) -> None:
        from mlflow.entities import Metric

        now = time.time()
        self._waiting += [Metric(name, value, round(1000 * now), position) for name, value in figures.items()]
        if now >= self._due or len(self._waiting) >= MLFLOW_BATCH:
            self._send()

    def final(self, figures: Mapping[str, float]) -> None:
        self.curve("", figures, 0)
        self._send()

    def _send(self) -> None:
        """A transaction takes ten milliseconds, however much is in it: points wait for each other."""
        for start in range(0, len(self._waiting), MLFLOW_BATCH):
            self._client.log_batch(self._id, self._waiting[start : start + MLFLOW_BATCH])
        self._waiting, self._due = [], time.time() + MLFLOW_EVERY

    def close(self, failed: bool) -> None:
        self._send()
        self._client.set_terminated(self._id, "FAILED" if failed else "FINISHED")


@contextmanager
def _quiet() -> Iterator[None]:
    """What a library prints is not what ``itune run --json`` prints."""
    with redirect_stdout(io.StringIO()):
        yield


@contextmanager
def _unset(*names: str) -> Iterator[None]:
    """Environment variables that are not there for the length of the block."""
    kept = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


@contextmanager
def _hub_offline() -> Iterator[None]:
    """No request of huggingface_hub for the length of the block: Trackio asks for the user's name, token or not.

    Its variable, ``HF_HUB_OFFLINE``, is heeded only before the import; what it leads to is what is set here.
    """
    from huggingface_hub import constants

    kept, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = kept
