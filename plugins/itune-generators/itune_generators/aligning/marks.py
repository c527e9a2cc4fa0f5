"""What marks the turns in the prompts of Self-Align, by language, and what a reply that copies their examples says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from itune_generators.asking.prompting import Language


@dataclass(frozen=True)
class Marks:
    """The format of an answer, as the prompt of one language asks for it.

    Attributes:
        thought, reply, user: what the line begins with that holds the thought, the reply, a turn of the user; each is
            followed by a colon, plain or wide.
        opening: the sentence that every thought begins with.
        shortest: fewest characters of a reply after which the model wrote on as the user: 160 of English, where the
            published filter was tuned; half as many of Korean and Japanese, whose characters say about twice as much.
        apologies: what a refusal begins with, in lower case.
        leaks: words of the examples, and of hardly anything else.
    """

    thought: str
    reply: str
    user: str
    opening: str
    shortest: int
    apologies: Sequence[str]
    leaks: Sequence[str]


MARKS: Mapping[Language, Marks] = {
    "en": Marks(
        "Thought",
        "Reply",
        "User",
        "I am an honest and careful assistant.",
        160,
        ("i'm sorry", "i am sorry", "i’m sorry"),
        ("rowing team", "Oduya", "71, 3, 3, 58", "58, 3, 3, 71", "ferry", "pangolin", "Pangolin"),
    ),
    "ko": Marks(
        "생각",
        "답변",
        "사용자",
        "나는 정직하고 신중한 비서이다.",
        80,
        ("죄송", "미안"),
        ("조정 팀", "오단비", "71, 3, 3, 58", "58, 3, 3, 71", "여객선", "천산갑"),
    ),
    "ja": Marks(
        "考え",
        "返答",
        "利用者",
        "私は正直で慎重なアシスタントである。",
        80,
        ("申し訳", "すみません", "ごめん"),
        ("ボートチーム", "尾津谷", "71、3、3、58", "58、3、3、71", "フェリー", "センザンコウ"),
    ),
}
