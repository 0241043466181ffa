"""Homomorphic encryption beside phe + gmpy2 and HEU, each in its own environment: one process, one core.

Ours is `bench/he.py`. Costs are for as many values as the row says; the peers measure fewer and are multiplied, because
their cost per value does not depend on their number. No channel, so no row over TLS.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from bench import he
from bench.peer import Peer, beside_row
from bench.rows import Row, as_row
from bench.setting import Setting

BITS, COUNT = 2048, 60
PAILLIER = (
    Peer("phe 1.5.0 + gmpy2", "phe", ("paillier.py", "phe", str(BITS), str(COUNT))),
    Peer("HEU 0.5.2b0 ZPaillier", "heu", ("paillier.py", "ZPaillier", str(BITS), str(10 * COUNT))),
)
OKAMOTO = (Peer("HEU 0.5.2b0 Okamoto-Uchiyama", "heu", ("paillier.py", "OU", str(BITS), str(10 * COUNT))),)
KINDS = (
    ("packed encrypt", "encrypt"),
    ("encrypt", "encrypt"),
    ("decrypt", "decrypt"),
    ("dot product", "dot"),
)
_NAME = re.compile(rf"(Paillier|Okamoto-Uchiyama)-{BITS} (.*), (\d+) (values|terms)")


def rows(setting: Setting) -> Iterator[Row]:
    """The group: every row of `bench.he`, with the peers' own measurements beside those that they can do."""
    for found in map(as_row, he.rows(BITS)):
        known = _NAME.match(found.work)
        if known is None or not setting.peers:
            yield found
            continue
        scheme, operation, count, _ = known.groups()
        pick = next(cost for kind, cost in KINDS if operation.startswith(kind))
        alone = replace(found, peer=None, peer_cpu_s=None)
        yield from beside_row(alone, PAILLIER if scheme == "Paillier" else OKAMOTO, pick, int(count))
