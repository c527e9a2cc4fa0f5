"""The words that a frame puts around the parts of an instance, by language."""

from __future__ import annotations

from typing import Literal, NamedTuple

Language = Literal["en", "ko", "ja", "zh"]


class Labels(NamedTuple):
    """What the parts are called.

    Attributes:
        instruction, input, output: of the question and its answer.
        example, wrong_example: of a demonstration; a number follows.
        rationale: of the reasoning in a demonstration, and of an explanation after the answer.
        conclusion: leads from the reasoning to the answer.
        colon: what stands between a label and its text.
    """

    instruction: str
    input: str
    output: str
    example: str
    wrong_example: str
    rationale: str
    conclusion: str
    colon: str = ": "


LABELS: dict[Language, Labels] = {
    "en": Labels(
        "Instruction", "Input", "Response", "Example", "Example of a wrong response", "Explanation", "So the answer is"
    ),
    "ko": Labels("질문", "입력", "답변", "예시", "잘못된 답변의 예시", "설명", "따라서 답은 다음과 같습니다"),
    "ja": Labels("指示", "入力", "回答", "例", "誤った回答の例", "説明", "したがって、答えは次のとおりです", "："),
    "zh": Labels("指令", "输入", "回答", "示例", "错误回答的示例", "解释", "因此，答案是", "："),
}
"""`ko` and `ja` use the headings of KoAlpaca (``### 질문:``, ``### 답변:``) and of the Japanese sets of Alpaca's kind
(``### 指示:``, ``### 回答:``)."""
