"""Any stable trainer of TRL as a step. The only module of this package that imports TRL."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from itune_core.api import Context, Drop, Failed, Input, Inputs, Kind, ModelError, RecipeError, TrainedModel, Trainer
from itune_trainers.trl.alone import left_alone
from itune_trainers.trl.log import history_of, last_checkpoint, metrics, reporter
from itune_trainers.trl.models import check_source, check_teacher, new_adapter, reward_model, save, start, weights
from itune_trainers.trl.rows import KINDS, rows_for
from itune_trainers.trl.settings import CLASSES, TRLSettings, missing

if TYPE_CHECKING:
    from datasets import Dataset


class TRL(Trainer):
    """Runs a trainer of TRL with settings by TRL's own names, where itune has no trainer of its own for it.

    ``sft`` reads conversation or text records, ``dpo`` and ``reward`` preferences, ``kto`` feedback, ``grpo``, ``rloo``
    and ``distillation`` prompts. The loss, the defaults and the length policy are TRL's: it cuts long rows without an
    account of them, and the ``sft`` loss is over whole conversations unless ``completion_only_loss`` or
    ``assistant_only_loss`` is set. Unless ``config`` says otherwise, a machine without an accelerator trains in float32
    and without recomputed activations, and every step is logged.

    Dropped: ``trl-left-out`` (TRL's ``sft``, ``kto`` and ``reward`` leave out rows that they cannot use within
    ``max_length``).

    Failed: ``E-TRAIN-045`` a turn says what TRL cannot be told; ``E-TRAIN-071`` feedback without a label.

    Refused: ``E-TRAIN-040`` to ``E-TRAIN-047``.

    Source: https://github.com/huggingface/trl
    """

    inputs = {
        "train": Input(tuple(dict.fromkeys(kind for kinds in KINDS.values() for kind in kinds))),
        "eval": Input(tuple(dict.fromkeys(kind for kinds in KINDS.values() for kind in kinds)), required=False),
    }

    class Config(TRLSettings):
        """What TRL is told."""

    @classmethod
    def inputs_for(cls, config: TRLSettings) -> Mapping[str, Input]:
        kinds: tuple[Kind, ...] = KINDS[config.trainer]
        return {"train": Input(kinds), "eval": Input(kinds, required=False)}

    def train(self, inputs: Inputs, context: Context) -> TrainedModel:
        """Train, from the last whole checkpoint in ``context.scratch`` if there is one.

        Everything random is seeded from ``context.rng``; the process's random generators are left as they were.

        Raises:
            ItuneError: see the class; what TRL raises while it trains comes through.
        """
        config: TRLSettings = self.config
        try:
            import trl
        except ModuleNotFoundError as error:
            raise missing() from error
        from transformers import PrinterCallback

        from itune_torch import load_tokenizer

        with left_alone(seed := context.rng("trl").getrandbits(31)):
            # Named after the version: another one goes its own way, so it cannot go on from these checkpoints.
            folder = context.scratch / f"trl-{trl.__version__}"
            args = _arguments(config, folder, seed, evaluates=inputs.get("eval") is not None)
            data, failed = _data(config, inputs)
            source = context.model(config.model)
            check_source(config, source)
            tokenizer = load_tokenizer(source)
            try:
                trainer = getattr(trl, f"{CLASSES[config.trainer]}Trainer")(
                    model=start(config, source, args, context.scratch / "start"),
                    args=args,
                    processing_class=tokenizer,
                    callbacks=[reporter(context)],
                    peft_config=new_adapter(config, source),
                    **data,
                    **_judges(config, context),
                )
            except (ValueError, TypeError, RuntimeError, ImportError, OSError) as error:
                raise _refusal(config.trainer, error) from error
            trainer.remove_callback(PrinterCallback)  # there whenever bars are off
            try:
                trainer.train(resume_from_checkpoint=last_checkpoint(folder))
            except ValueError as error:  # of a setting that TRL looks at only when it is used
                raise _refusal(config.trainer, error) from error
            saved = save(trainer.model, tokenizer, source, config, context.scratch / "model")

        history = history_of(trainer)
        dropped = {
            name: {
                **failures,
                **_left_out(data[f"{name}_dataset"], getattr(trainer, f"{name}_dataset"), config.trainer),
            }
            for name, failures in failed.items()
        }
        held_out = {"eval_dropped": len(dropped["eval"])} if "eval" in dropped else {}
        return TrainedModel(
            saved,
            architecture="reward" if config.trainer == "reward" else "causal",
            adapter_of=None if config.adapter == "none" else config.model,
            metrics={**metrics(trainer, history), **held_out, "trl": trl.__version__},
            history=history,
            dropped=dropped["train"],
        )


def _data(config: TRLSettings, inputs: Inputs) -> tuple[dict[str, Any], dict[str, dict[str, Failed]]]:
    """The data sets by TRL's names for them, and of each input the records that no row could be made of."""
    completions = bool(config.config.get("completion_only_loss"))
    given = {name: rows for name in ("train", "eval") if (rows := inputs.get(name)) is not None}
    made = {name: rows_for(config.trainer, rows, completions, name) for name, rows in given.items()}
    return {f"{name}_dataset": rows for name, (rows, _) in made.items()}, {
        name: failed for name, (_, failed) in made.items()
    }


def _judges(config: TRLSettings, context: Context) -> dict[str, Any]:
    """The models that say what is good, by TRL's names for them."""
    from itune_torch import load_tokenizer

    if config.teacher is not None:
        check_teacher(teacher := context.model(config.teacher))
        return {"teacher_model": str(weights(teacher, context.scratch / "teacher"))}
    if not config.rewards:
        return {}
    sources = [context.model(name) for name in config.rewards]
    return {
        "reward_funcs": [reward_model(name, each) for name, each in zip(config.rewards, sources, strict=True)],
        "reward_processing_classes": [load_tokenizer(each) for each in sources],
    }


def _arguments(config: TRLSettings, folder: Path, seed: int, *, evaluates: bool) -> Any:
    """TRL's config for this training, its values checked against the types and choices that TRL declares.

    Raises:
        RecipeError: ``E-TRAIN-041`` a value is of another type, or none of the choices.
        ModelError: ``E-TRAIN-043`` TRL refuses it.
    """
    import torch
    import trl

    cls = getattr(trl, f"{CLASSES[config.trainer]}Config")
    hints = get_type_hints(cls)
    declared = {field.name: field for field in fields(cls)}
    given = {
        key: _checked(key, value, hints[key], declared[key].metadata.get("choices"), cls.__name__)
        for key, value in config.config.items()
        if key in declared
    }
    given |= {key: value for key, value in config.config.items() if key not in declared}  # TRL says what it thinks
    given["model_init_kwargs"] = {**(given.get("model_init_kwargs") or {}), "use_safetensors": True}
    if config.teacher is not None:
        given["teacher_model_init_kwargs"] = {"dtype": "float32", "use_safetensors": True}
    defaults: dict[str, Any] = {"logging_steps": 1, "logging_nan_inf_filter": False}
    if given.get("use_cpu") or not torch.accelerator.is_available():
        defaults |= {"use_cpu": True, "bf16": False, "dataloader_pin_memory": False}
        if not given.get("activation_checkpointing"):
            defaults["gradient_checkpointing"] = False
    if evaluates:
        defaults["eval_strategy"] = "epoch"
    ours = {
        "output_dir": str(folder),
        "seed": seed,
        "report_to": "none",
        "disable_tqdm": True,
        "save_strategy": "steps",
        "save_steps": config.save_steps,
        "save_total_limit": 1,
    }
    try:
        args = cls(**{**defaults, **given, **ours})
    except (ValueError, TypeError, RuntimeError, ImportError) as error:
        raise _refusal(config.trainer, error) from error
    # A resumed online trainer begins with new completions, so a checkpoint is kept only where it had none left.
    passes = getattr(args, "steps_per_generation", None) or 1
    cycle = passes * getattr(args, "num_iterations", 1)
    cycle //= math.gcd(cycle, args.gradient_accumulation_steps)
    args.save_steps = math.ceil(config.save_steps / cycle) * cycle
    return args


def _checked(key: str, value: Any, hint: Any, choices: Any, cls: str) -> Any:
    """`value`; a number that YAML took for text (``1e-4``) as a number."""
    adapter = TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))
    try:
        read = adapter.validate_python(value)
    except ValidationError as error:
        try:
            adapter.validate_python([value])  # one in the place of a list of one, as TRL allows
        except ValidationError:
            why = error.errors()[0]["msg"]
            raise RecipeError(
                "E-TRAIN-041", f"{key} of TRL's {cls} is {value!r}", why=why, fix="correct it under `config`"
            ) from error
        read = value
    unknown = [each for each in (value if isinstance(value, list) else [value]) if choices and each not in choices]
    if unknown and value is not None:
        raise RecipeError(
            "E-TRAIN-041",
            f"{key} of TRL's {cls} is {unknown[0]!r}",
            why=f"it must be one of {', '.join(map(str, choices))}",
            fix="correct it under `config`",
        )
    return read if isinstance(value, str) and isinstance(read, (bool, int, float)) else value


def _refusal(trainer: str, error: Exception) -> ModelError:
    return ModelError(
        "E-TRAIN-043", f"TRL's {trainer} trainer refuses this training", why=str(error), fix="correct it under `config`"
    )


def _left_out(given: Dataset, kept: Any, trainer: str) -> dict[str, Drop | Failed]:
    """The records that TRL has taken out of what it was given; unknown where it packs rows."""
    if "id" not in given.column_names or "id" not in getattr(kept, "column_names", ()):
        return {}
    why = f"TRL's {trainer} left it out: longer than max_length, or nothing to learn within it"
    return {record: Drop("trl-left-out", why) for record in sorted(set(given["id"]) - set(kept["id"]))}
