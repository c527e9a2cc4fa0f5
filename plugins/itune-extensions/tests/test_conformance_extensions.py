"""Every extension here keeps to the contract that all extensions keep to.

Trackers whose library is not installed are left to ``nox -s trackers``. Trackio is not among them: its database is the
user's own, in their home folder, and the contract wants all that is written in the run's.
"""

from __future__ import annotations

from importlib.util import find_spec

from itune_core.testing import ExtensionConformance


class TestProfile(ExtensionConformance):
    component = "extensions/profile"


class TestRedact(ExtensionConformance):
    component = "extensions/redact"


class TestRedactEverything(ExtensionConformance):
    component = "extensions/redact"
    config = {"kinds": ["email", "phone", "card", "key"], "mask": "<{kind}>", "regions": ["US", "GB", "JP"]}


class TestTensorBoard(ExtensionConformance):
    component = "extensions/tensorboard"


if find_spec("wandb"):

    class TestWandb(ExtensionConformance):
        component = "extensions/wandb"


if find_spec("mlflow"):

    class TestMLflow(ExtensionConformance):
        component = "extensions/mlflow"
