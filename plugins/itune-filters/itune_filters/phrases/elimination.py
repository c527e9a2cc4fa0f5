"""Words by which a failed evolution is known, in English, Korean, Japanese and Chinese."""

from __future__ import annotations

import re

from itune_filters.phrases.wordcount import UNSPACED

SORRY = ("sorry", "죄송", "미안", "申し訳", "すみません", "ごめん", "抱歉", "对不起", "對不起")
"""How an answer that is none apologises."""

COPIED = (
    *("given prompt", "rewritten prompt", "created prompt", "given instruction", "rewritten instruction"),
    *("주어진 프롬프트", "재작성된 프롬프트", "다시 쓴 프롬프트", "다시 작성된 프롬프트", "생성된 프롬프트"),
    *("与えられたプロンプト", "書き換えられたプロンプト", "書き換えたプロンプト", "書き直したプロンプト"),
    *("作成されたプロンプト", "给定的提示", "给定提示", "改写后的提示", "重写的提示", "重写后的提示", "创建的提示"),
    *("給定的提示", "給定提示", "改寫後的提示", "重寫的提示", "建立的提示"),
)
"""Marks of the prompt that asks for an evolution, which none of them should repeat."""

_WORDS = """
a about above after again against all also although am an and any are aren't as at be because been before being
below between both but by can could did didn't do does doesn't doing don't down during each either else ever every
few for from further had has have having he her here hers herself him himself his how however i if in into is isn't
it its itself just let me might more most must my myself neither nor now of off on once only or other our ours
ourselves out over own per same shall she should so some such than that the their theirs them themselves then there
these they this those though through thus to too under until up upon us very was wasn't we were what when where
whether which while who whom whose why will with within without would you your yours yourself yourselves 그 이 저
그것 이것 저것 것 수 등 및 또 또는 그리고 그러나 하지만 그런데 그래서 따라서 즉 또한 때문에 위해 위한 대한 대해 통해
있다 있는 있습니다 하다 하는 합니다 한다 되다 되는 됩니다 된다 이다 입니다 나 저는 나는 우리 너 당신 그는 그녀 더
가장 매우 아주 잘
"""
"""Words of scripts with spaces."""

_PARTICLES = """
の に は を が と で も や へ か ね よ な から まで より など これ それ あれ この その あの ここ そこ どこ こと もの
ため よう する した して します しました いる います ある あります なる なります です ます でした でしょう だ である
そして しかし または また 私 あなた 彼 彼女 的 了 和 在 也 就 都 而 及 与 與 或 或者 但 但是 因为 因為 所以 如果 这
這 那 这个 這個 那个 那個 这些 這些 那些 一个 一個 一种 一種 我 你 您 他 她 它 我们 我們 你们 你們 他们 他們 很 更
最 会 會 能 可以 要 有 把 被 对 對 从 從 到 以 为 為 于 於 之 其 并 並 等 着 著 过 過 吗 嗎 呢 吧 啊 上 下 中
"""
"""Of scripts without."""

STOP_WORDS = frozenset(_WORDS.split())
PARTICLES = frozenset(_PARTICLES.split())
LONGEST_PARTICLE = max(map(len, PARTICLES))
_RUN = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


def says_nothing(text: str) -> bool:
    """Whether `text` is made of punctuation and stop words alone.

    Yes and no are answers, and no stop words in any language; so is a single Latin letter, of a question with options.
    A run of Chinese or Japanese is tried for being stop words laid end to end.
    """
    runs = _RUN.findall(text.replace("\u2019", "'").casefold())
    if len(runs) == 1 and len(runs[0]) == 1 and runs[0].isascii():
        return False
    return all(run in STOP_WORDS or _only_particles(run) for run in runs)


def _only_particles(run: str) -> bool:
    if not UNSPACED.match(run):
        return False
    reached = [True]  # whether the text up to each place is particles laid end to end
    last = 0  # the last such place
    for end in range(1, len(run) + 1):
        starts = range(max(0, end - LONGEST_PARTICLE), end)
        reached.append(any(reached[start] and run[start:end] in PARTICLES for start in starts))
        if reached[end]:
            last = end
        elif end - last > LONGEST_PARTICLE:
            return False
    return reached[-1]
