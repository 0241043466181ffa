"""Does a text overstate what privacy computing does? 夸张描述 (white paper A, 1.2 and 3.3, fourth point).

A plain search for what no notice or judgement may claim. It catches the usual wordings, not every one.
"""

from __future__ import annotations

import re

_NOT = r"(?<!不)(?<!不能)(?<!未)(?<!非)(?<!无法)(?<!并不)"
_CLAIMS = re.compile(
    "|".join(
        (
            _NOT
            + r"(?:完全|简单|直接)?(?:等于|等同于?|就是|即是|即为|相当于|实现了?|达到)(?:完全的?|绝对的?)?匿名化",
            r"(?:绝对|完全|百分之百|100\s*%)(?:安全|匿名|不会泄[露漏])",
            r"零风险|毫无风险|没有任何风险",
            r"(?:无需|不需要|免于|豁免)(?:个人|用户)?(?:的)?(?:授权|同意|告知)",
            r"(?:absolutely|completely|100\s*%|perfectly) (?:secure|safe|anonymous)",
            r"(?:no|zero|without any) risk\b",
            r"no consent is needed|without (?:the need for )?consent",
            r"(?:multi-party computation|mpc|secret sharing) (?:is|means|equals|achieves) (?:an )?anonymi[sz]",
        )
    ),
    re.IGNORECASE,
)


def find_exaggeration(text: str) -> str | None:
    """The first overstatement in the text, or None."""
    found = _CLAIMS.search(text)
    return found.group(0) if found else None
