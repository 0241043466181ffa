"""Private set intersection. Import the modules: nothing is loaded here before it is used.

items            what is compared: 128-bit items from bytes, strings and integers, under a key that the parties share
choose           which protocol for which sets, link and helpers, and why
kkrt             two parties, oblivious PRF: least CPU
rr22_two_party   two parties, OKVS and silent VOLE: few bytes at little CPU
dealer           two parties and a node that deals: least of both
ecdh             two parties, Diffie-Hellman: small sets; the number of common items alone
multi            three and more parties
circuit, sum     results that stay shared: payloads, totals
outcome          what a party has in the end
"""

__all__ = [
    "choose",
    "circuit",
    "dealer",
    "ecdh",
    "items",
    "kkrt",
    "multi",
    "outcome",
    "rr22_two_party",
    "sum",
]
