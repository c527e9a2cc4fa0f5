"""From a source to a folder, a tokenizer and a model; adapters; and what is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from itune_core.api import ModelError, ModelSource
from itune_torch import load_causal, load_tokenizer, make_tiny_llama, resolve

IDS = torch.tensor([[1, 40, 41, 42, 300, 301, 2]])


def digests(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_tiny_llama_is_the_same_bytes(tiny: ModelSource, tmp_path: Path) -> None:
    """In another process too: nothing of it may hang on a hash seed."""
    code = f"import pathlib, itune_torch; itune_torch.make_tiny_llama(pathlib.Path({str(tmp_path / 'again')!r}))"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert digests(tmp_path / "again") == digests(tiny.files)
    other = make_tiny_llama(tmp_path / "other", seed=1)
    changed = {name for name, data in digests(other).items() if data != digests(tiny.files)[name]}
    assert changed == {"model.safetensors"}


def test_tiny_llama_leaves_the_global_generator_alone(tmp_path: Path) -> None:
    before = torch.random.get_rng_state()
    make_tiny_llama(tmp_path)
    assert torch.equal(before, torch.random.get_rng_state())


def test_tiny_tokenizer_gives_text_back(tokenizer: Any) -> None:
    for text in ("Hello,  world!\n\n\t1234", "naïve café 日本語 🙂", "<|im_start|>user\nhi<|im_end|>\n"):
        assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text


def test_tiny_with_another_tokenizer(tiny: ModelSource, tmp_path: Path) -> None:
    folder = make_tiny_llama(tmp_path / "second", tiny.files)
    assert digests(folder)["tokenizer.json"] == digests(tiny.files)["tokenizer.json"]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_load_causal(tiny: ModelSource, dtype: Any) -> None:
    model = load_causal(tiny, dtype=dtype)
    assert {str(weight.dtype) for weight in model.parameters()} == {f"torch.{dtype}"}
    assert not model.training
    assert model(input_ids=IDS).logits.shape == (1, 7, 512)


@pytest.fixture(scope="module")
def adapted(tiny: ModelSource, tmp_path_factory: pytest.TempPathFactory) -> ModelSource:
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    model = get_peft_model(
        load_causal(tiny), LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    )
    folder = tmp_path_factory.mktemp("adapter")
    model.save_pretrained(folder)
    return replace(tiny, adapter=folder)


def test_adapter_attached_and_merged_agree(tiny: ModelSource, adapted: ModelSource) -> None:
    from peft import PeftModel

    attached, merged, plain = load_causal(adapted), load_causal(adapted, adapter="merge"), load_causal(tiny)
    assert isinstance(attached, PeftModel)
    assert not isinstance(merged, PeftModel)
    assert not any(weight.requires_grad for name, weight in attached.named_parameters() if "lora" in name)
    with torch.no_grad():
        logits = [model(input_ids=IDS).logits for model in (attached, merged, plain)]
    torch.testing.assert_close(logits[0], logits[1], atol=1e-4, rtol=1e-4)
    assert (logits[0] - logits[2]).abs().max() > 0.1


def test_adapter_is_merged_before_rounding(adapted: ModelSource) -> None:
    exact = load_causal(adapted, adapter="merge").state_dict()
    rounded = load_causal(adapted, dtype="bfloat16", adapter="merge").state_dict()
    for name, weight in exact.items():
        assert torch.equal(rounded[name], weight.bfloat16()), name


def test_merging_leaves_the_buffers_as_opening_does(tiny: ModelSource, adapted: ModelSource) -> None:
    """Rotary frequencies are computed, not learned: rounded, they turn late positions by the wrong angle."""
    merged = load_causal(adapted, dtype="bfloat16", adapter="merge")
    assert {weight.dtype for weight in merged.parameters()} == {torch.bfloat16}
    opened = dict(load_causal(tiny, dtype="bfloat16").named_buffers())
    assert opened
    for name, buffer in merged.named_buffers():
        assert buffer.dtype == torch.float32, name
        assert torch.equal(buffer, opened[name]), name


def test_adapter_weights_stay_float32(adapted: ModelSource) -> None:
    model = load_causal(adapted, dtype="bfloat16")
    assert {weight.dtype for name, weight in model.named_parameters() if "lora" in name} == {torch.float32}


def test_an_adapters_own_tokenizer_is_used(tiny: ModelSource, adapted: ModelSource, tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    shutil.copytree(adapted.adapter, folder)
    tokenizer = load_tokenizer(tiny)
    tokenizer.chat_template = "another"
    tokenizer.save_pretrained(folder)
    assert load_tokenizer(replace(tiny, adapter=folder)).chat_template == "another"
    assert load_tokenizer(adapted).chat_template != "another"


def test_missing_folder(tiny: ModelSource, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="has no folder"):
        load_causal(replace(tiny, files=tmp_path / "nowhere"))


def test_pickled_weights_are_refused(tiny: ModelSource, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny.files, folder)
    torch.save(load_causal(tiny).state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"pytorch_model\.bin: pickled weights can run code"):
        load_causal(replace(tiny, files=folder))


def test_code_from_the_folder_is_refused(tiny: ModelSource, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny.files, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config", "AutoModelForCausalLM": "mine.Model"}}
    (folder / "config.json").write_text(json.dumps(config))
    marker = tmp_path / "ran"
    (folder / "mine.py").write_text(f"open({str(marker)!r}, 'w').write('ran')\n")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_causal(replace(tiny, files=folder))
    assert not marker.exists()


def test_adapter_of_another_shape(tiny: ModelSource, adapted: ModelSource, tmp_path: Path) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    wide = LlamaForCausalLM(LlamaConfig(vocab_size=512, hidden_size=32, num_hidden_layers=2, num_attention_heads=2))
    wide.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_causal(replace(adapted, files=tmp_path))


def test_no_tokenizer(tiny: ModelSource, tmp_path: Path) -> None:
    shutil.copy(tiny.files / "config.json", tmp_path)
    with pytest.raises(ModelError, match="tokenizer"):
        load_tokenizer(replace(tiny, files=tmp_path))


@pytest.mark.parametrize("names", [[], ["a.gguf", "b.gguf"]])
def test_one_gguf_file_is_needed(tmp_path: Path, names: list[str]) -> None:
    folder = tmp_path / "wheel"
    folder.mkdir()
    for name in names:
        (folder / name).touch()
    source = ModelSource(folder, "gguf", "x", "embedded:x", cache=tmp_path / "cache")
    with pytest.raises(ModelError, match=f"holds {len(names)}"):
        resolve(source)
    assert [path.name for path in (tmp_path / "cache" / "converted").iterdir() if path.is_dir()] == []


def test_gguf_needs_a_cache(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no cache folder"):
        resolve(ModelSource(tmp_path, "gguf", "x", "embedded:x"))


def gguf_of(tiny: ModelSource, path: Path, kind: Any) -> None:
    """Write the tiny model as a GGUF file, as llama.cpp's converter does: attention rows permuted for its rotary."""
    import gguf
    from safetensors.torch import load_file

    tokenizer = json.loads((tiny.files / "tokenizer.json").read_text())
    vocabulary = sorted(tokenizer["model"]["vocab"], key=tokenizer["model"]["vocab"].get)
    special = {token["content"] for token in tokenizer["added_tokens"]}
    config = json.loads((tiny.files / "config.json").read_text())
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(vocabulary)
    writer.add_token_types([gguf.TokenType.CONTROL if t in special else gguf.TokenType.NORMAL for t in vocabulary])
    writer.add_token_merges([" ".join(pair) for pair in tokenizer["model"]["merges"]])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_chat_template(load_tokenizer(tiny).chat_template)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config["num_hidden_layers"])
    heads = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}
    for name, tensor in load_file(tiny.files / "model.safetensors").items():
        for part, count in heads.items():
            if part in name:
                rows, columns = tensor.shape
                tensor = tensor.reshape(count, 2, rows // count // 2, columns).swapaxes(1, 2).reshape(rows, columns)
        data = tensor.float().numpy()
        if data.ndim == 2:
            writer.add_tensor(names.get_name(name, (".weight",)), gguf.quants.quantize(data, kind), raw_dtype=kind)
        else:
            writer.add_tensor(names.get_name(name, (".weight",)), data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.mark.parametrize(("kind", "dtype"), [("F32", torch.float32), ("BF16", torch.bfloat16), ("Q8_0", torch.float32)])
def test_gguf_conversion(tiny: ModelSource, tmp_path: Path, kind: str, dtype: torch.dtype) -> None:
    """The weights, tokenizer and template that went in, plain and trainable; bfloat16 only where that loses nothing."""
    import gguf
    from safetensors.torch import load_file

    (tmp_path / "wheel").mkdir()
    gguf_of(tiny, tmp_path / "wheel" / "tiny.gguf", getattr(gguf.GGMLQuantizationType, kind))
    source = ModelSource(tmp_path / "wheel", "gguf", f"sha256:{kind}", "embedded:tiny", cache=tmp_path / "cache")
    folder = resolve(source)
    assert folder == tmp_path / "cache" / "converted" / f"sha256-{kind}-v1"

    weights, original = load_file(folder / "model.safetensors"), load_file(tiny.files / "model.safetensors")
    assert weights.keys() == original.keys()
    for name, weight in weights.items():
        assert weight.dtype == dtype
        bound = {"F32": 0.0, "BF16": 2**-8, "Q8_0": 0.02}[kind]
        assert (weight.float() - original[name]).abs().max() <= bound * original[name].abs().max(), name

    assert "quantization_config" not in json.loads((folder / "config.json").read_text())
    model, tokenizer = load_causal(source), load_tokenizer(source)
    assert not getattr(model, "is_quantized", False)
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|im_end|>", "<|endoftext|>")
    for config in (model.config, model.generation_config):
        assert (config.eos_token_id, config.pad_token_id) == (2, 0)
    text = "<|im_start|>user\nHello,  world 🙂<|im_end|>\n"
    theirs = load_tokenizer(tiny)
    assert tokenizer(text)["input_ids"] == theirs(text)["input_ids"]
    assert tokenizer.chat_template == theirs.chat_template


def test_two_processes_convert_once(tiny: ModelSource, tmp_path: Path) -> None:
    import gguf

    (tmp_path / "wheel").mkdir()
    gguf_of(tiny, tmp_path / "wheel" / "tiny.gguf", gguf.GGMLQuantizationType.F32)
    left = tmp_path / "cache" / "converted" / "once-v1.killed.part"
    left.mkdir(parents=True)
    code = (
        "import itune_torch._resolve as r; from pathlib import Path; from itune_core.api import ModelSource\n"
        "real = r._convert\n"
        "def told(*a): print('converting'); real(*a)\n"
        "r._convert = told\n"
        f"base = Path({str(tmp_path)!r})\n"
        "print(r.resolve(ModelSource(base / 'wheel', 'gguf', 'once', 'x', cache=base / 'cache')))\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    target = str(left.parent / "once-v1")
    printed = [process.communicate()[0].splitlines() for process in processes]
    outputs = [[line for line in lines if line in ("converting", target)] for lines in printed]  # DeepSpeed prints, too
    assert sorted(outputs, key=len) == [[target], ["converting", target]]
    assert not left.exists()
    assert sorted(path.name for path in left.parent.iterdir() if path.is_dir()) == ["once-v1"]


@pytest.mark.slow
def test_smollm2(smollm2: ModelSource) -> None:
    from itune_torch import generate

    tokenizer, model = load_tokenizer(smollm2), load_causal(smollm2, dtype="bfloat16")
    assert tokenizer.convert_tokens_to_ids("<|im_end|>") == tokenizer.eos_token_id == 2
    text = "Hello  world!\n\n\tIt's 1234 naïve café 日本 🙂"
    assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text
    question = {"role": "user", "content": "What is the capital of France?"}
    messages = [{"role": "system", "content": "Be brief."}, question]
    assert tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhat is the capital of France?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    prompt = tokenizer.apply_chat_template([question], add_generation_prompt=True, return_dict=False)
    (answer,) = generate(model, tokenizer, [prompt], max_new_tokens=16)
    assert answer.text == "The capital of France is Paris."
    assert (answer.finish_reason, answer.ids[-1]) == ("stop", 2)


def test_a_device_that_is_not_there_is_told(tiny: ModelSource) -> None:
    with pytest.raises(ModelError, match="cuda") as caught:
        load_causal(tiny, device="cuda:99")
    assert caught.value.code == "E-TORCH-007"
