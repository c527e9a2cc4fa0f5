"""Every formatter here keeps to the contract that all formatters keep to."""

from __future__ import annotations

from itune_core.testing import FormatterConformance


class TestAlpaca(FormatterConformance):
    component = "formatters/alpaca"
    rows = [
        {"instruction": "Name a tree.", "input": "", "output": "The ash."},
        {"instruction": "Translate to German.", "input": "a ladder", "output": "eine Leiter", "id": 3},
        {"instruction": "Draw a boat.", "input": "<noinput>", "output": "<nooutput>"},
    ]


class TestDolly(FormatterConformance):
    component = "formatters/dolly"
    rows = [
        {"instruction": "Name a tree.", "context": "", "response": "The ash.", "category": "open_qa"},
        {"instruction": "Who lent it?", "context": "Ana lent it.", "response": "Ana.", "category": "closed_qa"},
        {"instruction": "Say nothing.", "context": "", "response": " ", "category": "creative_writing"},
    ]


class TestHHRLHF(FormatterConformance):
    component = "formatters/hh-rlhf"
    rows = [
        {"chosen": "\n\nHuman: A tree?\n\nAssistant: The ash.", "rejected": "\n\nHuman: A tree?\n\nAssistant: No."},
        {"chosen": "\n\nHuman: Tea?\n\nAssistant: Gladly.", "rejected": "\n\nHuman: Tee?\n\nAssistant: What?"},
        {
            "chosen": "\n\nHuman: Hi\n\nAssistant: Hello.\n\nHuman: Four?\n\nAssistant: Two and two.",
            "rejected": "\n\nHuman: Hi\n\nAssistant: Hello.\n\nHuman: Four?\n\nAssistant: Five.",
        },
    ]


class TestMessages(FormatterConformance):
    component = "formatters/messages"
    rows = [
        {"messages": [{"role": "user", "content": "A tree?"}, {"role": "assistant", "content": "The ash."}]},
        {
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Tea?"},
                {"role": "assistant", "content": "Gladly.", "train": True},
            ],
            "topic": "drinks",
        },
        {"messages": [{"role": "user", "content": "Is anybody there?"}]},
    ]


class TestPairs(FormatterConformance):
    component = "formatters/pairs"
    rows = [
        {"prompt": "A tree?", "chosen": "The ash.", "rejected": "No.", "margin": 0.5},
        {"prompt": "Tea?", "chosen": "Gladly.", "rejected": "Gladly."},
        {
            "prompt": [{"role": "user", "content": "Four?"}],
            "chosen": [{"role": "assistant", "content": "Two and two."}],
            "rejected": [{"role": "assistant", "content": "Five."}],
        },
    ]


class TestWholePairs(FormatterConformance):
    component = "formatters/pairs"
    config = {"layout": "whole"}
    rows = [
        {
            "chosen": [{"role": "user", "content": "Four?"}, {"role": "assistant", "content": answer}],
            "rejected": [{"role": "user", "content": "Four?"}, {"role": "assistant", "content": "Five."}],
        }
        for answer in ("Two and two.", "Five.", "Three and one.")
    ]


class TestPrompts(FormatterConformance):
    component = "formatters/prompts"
    rows = [
        {"prompt": "Name a tree.", "references": ["The ash."]},
        {"prompt": [{"role": "user", "content": "Tea or coffee?"}], "topic": "drinks"},
        {"prompt": [{"role": "assistant", "content": "Ask me."}]},
    ]
