"""ID numbers and organisation codes, as SQL expressions on canonical text.

Resident ID number: 18 characters, GB 11643-1999, check character ISO 7064 MOD 11-2; the old 15-digit number is turned into
the 18-digit one (century 19). Unified social credit code: 18 characters, GB 32100-2015. Organisation code: 9 characters,
GB 11714-1997. A wrong check character is a flag by default, not a reject: the row may still match.
"""

from __future__ import annotations

ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
ID_CHECK = "10X98765432"
CREDIT_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
CREDIT_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
CODE_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
CODE_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
CODE_CHECK = "0X987654321"  # (11 - sum mod 11): 11 is 0, 10 is X

VALID, BAD_CHECKSUM, UNKNOWN_FORM = 0, 1, 2


def _digits(number: str, weights: tuple[int, ...]) -> str:
    """Weighted sum of the digits of a BIGINT, the last weight for the last digit."""
    # Digit i is N // 10^i - 10 * (N // 10^(i+1)): gathering the terms spares the remainders.
    backwards = (0, *reversed(weights))
    terms = (f"({number} // {10**i}) * {backwards[i + 1] - 10 * backwards[i]}" for i in range(len(weights)))
    return " + ".join(terms)


def _letters(text: str, alphabet: str, weights: tuple[int, ...]) -> str:
    terms = (
        f"(instr('{alphabet}', substr({text}, {i}, 1)) - 1) * {w}" for i, w in enumerate(weights, start=1)
    )
    return " + ".join(terms)


def _id_check(first17: str) -> str:
    return f"substr('{ID_CHECK}', CAST(({_digits(f'CAST({first17} AS BIGINT)', ID_WEIGHTS)}) % 11 AS BIGINT) + 1, 1)"


def party_text(text: str) -> str:
    """A party id's canonical form from its canonical text: no hyphens; 15-digit ID numbers as 18-digit ones."""
    old = f"left({text}, 6) || '19' || right({text}, 9)"
    return (
        f"CASE WHEN strlen({text}) = 15 AND regexp_full_match({text}, '[0-9]{{15}}') THEN {old} || {_id_check(old)} "
        f"WHEN contains({text}, '-') THEN replace({text}, '-', '') ELSE {text} END"
    )


def party_state(party: str) -> str:
    """VALID, BAD_CHECKSUM or UNKNOWN_FORM of a `party_text`. An empty one is VALID: nothing is said."""
    first17, last = f"left({party}, 17)", f"right({party}, 1)"
    is_id = f"regexp_full_match({party}, '[0-9]{{17}}[0-9X]')"
    is_credit = f"regexp_full_match({party}, '[{CREDIT_ALPHABET}]{{18}}')"
    is_code = f"regexp_full_match({party}, '[0-9A-Z]{{8}}[0-9X]')"
    credit = f"(31 - ({_letters(party, CREDIT_ALPHABET, CREDIT_WEIGHTS)}) % 31) % 31"
    code = f"({_letters(party, CODE_ALPHABET, CODE_WEIGHTS)}) % 11"
    return (
        f"CASE WHEN {party} = '' THEN {VALID} "
        f"WHEN strlen({party}) = 18 AND {is_id} AND {last} = {_id_check(first17)} THEN {VALID} "
        f"WHEN strlen({party}) = 18 AND {is_credit} THEN CASE WHEN instr('{CREDIT_ALPHABET}', {last}) - 1 = {credit} "
        f"THEN {VALID} ELSE {BAD_CHECKSUM} END "
        f"WHEN strlen({party}) = 9 AND {is_code} THEN CASE WHEN substr('{CODE_CHECK}', {code} + 1, 1) = {last} "
        f"THEN {VALID} ELSE {BAD_CHECKSUM} END "
        f"ELSE {UNKNOWN_FORM} END"
    )
