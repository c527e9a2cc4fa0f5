from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from itune_core.api import Drop, Keep, message, preference
from itune_filters.phrases.refusal import REFUSALS, plain
from itune_filters.refusals import Refusals


def found(judge: Any, record: Any, **settings: Any) -> str:
    [verdict] = judge(Refusals, [record.replace(id="1")], **settings)
    return verdict.detail if verdict != Keep() else ""


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        ("I\u2019m sorry, but I can\u2019t help with that.", '"i can\'t help with" (en)'),
        ("I'm sorry. I cannot assist\nwith this request.", "'i cannot assist' (en)"),
        ("As an AI language model, I have no birthday.", "'as an ai' (en)"),
        ("죄송합니다. 그 질문에는 답변할 수 없습니다.", "'답변할 수 없' (ko)"),
        ("저는 AI 언어 모델로서 생일이 없습니다.", "'ai 언어 모델' (ko)"),
        ("申し訳ありませんが、そのご質問にはお答えできません。", "'お答えできません' (ja)"),
        ("抱歉，我无法提供这类信息。", "'我无法提供' (zh)"),
        ("作為一個AI，我沒有生日。", "'作為一個ai' (zh)"),
        ("I am sorry for your loss. He was a good dog.", ""),
        ("죄송하다는 말은 이렇게 씁니다.", ""),
        ("申し訳ないと伝えるには、まず事実を認めましょう。", ""),
        ("對不起是道歉時說的話。", ""),
        ("I can't believe it is spring! The garden is green.", ""),
        ("She has an air of mystery.", ""),
        ("Such as an airline pilot.", ""),
        ("The API cannot complete the call twice.", ""),
        ("Sorry, but I can only stay an hour, wrote Ann.", ""),
        ("Sorry, but I cannot do that.", "'sorry, but i cannot' (en)"),
        ("作为AI助手，我没有生日。", "'作为ai' (zh)"),
        ("I cannot help but admire the bridge.", ""),
        ("Unfortunately, I can\u2019t help\nbut notice the rust.", ""),
        ("I'm sorry, I can not help but laugh.", ""),
        ("I cannot help butter melt, I am sorry to say.", "'i cannot help' (en)"),
        ("I cannot help but notice the rust. I cannot help you with it.", "'i cannot help' (en)"),
    ],
)
def test_four_languages(judge: Any, make_chat: Any, answer: str, detail: str) -> None:
    assert found(judge, make_chat("Help me.", answer)) == detail


def test_at_the_start_or_anywhere(judge: Any, make_chat: Any) -> None:
    late = make_chat("Help me.", "Tea is a drink. It is hot. Beyond that I cannot assist you.")
    assert found(judge, late) == ""
    assert found(judge, late, look="anywhere") == "'i cannot assist' (en)"
    lines = make_chat("Help me.", "Tea\nis hot\nI cannot assist you.")
    assert found(judge, lines) == ""


def test_phrases_and_languages_of_the_recipe(judge: Any, make_chat: Any) -> None:
    spanish = make_chat("Ayuda.", "Lo siento, NO  PUEDO ayudar.")
    assert found(judge, spanish) == ""
    assert found(judge, spanish, phrases=["No puedo ayudar"]) == "'no puedo ayudar' (of the recipe)"
    assert found(judge, spanish, phrases=["o puedo", "sient"]) == ""
    assert found(judge, make_chat("Nota.", "Es útil."), phrases=["til"]) == ""
    idiom = make_chat("Help.", "I cannot help but decline.")
    assert found(judge, idiom, phrases=["help but decline"]) == "'help but decline' (of the recipe)"
    english = make_chat("Help.", "I cannot assist.")
    assert found(judge, english, languages=["ko"]) == ""
    assert found(judge, english, languages=[]) == ""
    with pytest.raises(ValidationError):
        Refusals.Config(phrases=[" "])


def test_a_refusal_may_be_the_rejected_answer(judge: Any) -> None:
    ask, refusal, help_ = (
        [message("user", "q")],
        [message("assistant", "I cannot assist.")],
        [message("assistant", "Sure.")],
    )
    assert found(judge, preference(ask, help_, refusal)) == ""
    assert found(judge, preference(ask, refusal, help_))


def test_every_phrase_is_in_the_form_that_texts_are_brought_to() -> None:
    for phrases in REFUSALS.values():
        assert len(phrases) >= 20
        assert all(phrase == plain(phrase) for phrase in phrases)


def test_on_real_rows(judge: Any, make_chat: Any, alpaca: Any) -> None:
    """Answers of Alpaca hardly ever refuse; some do."""
    rows = [
        make_chat(f"Question {n}?", row["output"] or "-").replace(id=str(n))
        for n, row in enumerate(alpaca(52_002)[::4])
    ]
    dropped = [verdict for verdict in judge(Refusals, rows) if isinstance(verdict, Drop)]
    assert 0 < len(dropped) < len(rows) / 100
