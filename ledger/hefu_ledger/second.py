"""The root by another way: other hash code, another walk.

A single flipped bit between hash and signature kills a log for ever, so nothing is signed that two ways do not agree on.
"""

from cryptography.hazmat.primitives import hashes


def second_hash(*parts: bytes) -> bytes:
    """SHA-256 of the parts, by the cryptography library's hash."""
    digest = hashes.Hash(hashes.SHA256())
    for part in parts:
        digest.update(part)
    return digest.finalize()


def second_root(peaks: list[tuple[int, bytes]], leaves: list[bytes]) -> bytes:
    """The root over subtrees and leaves, by a stack of (count, hash) and another SHA-256 than `merkle` uses."""
    stack = list(peaks)
    for leaf in leaves:
        stack.append((1, leaf))
        while len(stack) > 1 and stack[-1][0] == stack[-2][0]:
            (_, right), (count, left) = stack.pop(), stack.pop()
            stack.append((2 * count, second_hash(b"\x01", left, right)))
    while len(stack) > 1:
        (_, right), (count, left) = stack.pop(), stack.pop()
        stack.append((count, second_hash(b"\x01", left, right)))
    return stack[0][1] if stack else second_hash()
