"""The errors of requests between organisations.

WireError
├─ Refused                 we refuse a request: status, reason code
├─ SignatureRefused        a message's signature does not hold: reason code (the guard turns it into Refused)
├─ PeerUnreachable         no answer: connection, TLS, time limit
├─ PeerRefused             the peer answered, signed, with an error
└─ AcknowledgementInvalid  the answer is not the peer's signed answer to this request

Reason codes: signature_missing, signature_invalid, digest_mismatch, stale, replayed, wrong_recipient, unknown_sender,
sender_suspended, body_too_large.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Reason(NamedTuple):
    """HTTP status and texts of a reason code."""

    status: int
    message_zh: str
    message_en: str


REASONS: Mapping[str, Reason] = {
    "signature_missing": Reason(401, "请求未签名", "the request is not signed"),
    "signature_invalid": Reason(401, "请求签名无效", "the request's signature does not verify"),
    "digest_mismatch": Reason(401, "请求正文与摘要不符", "the body does not match its signed digest"),
    "stale": Reason(401, "请求时间超出允许范围", "the request is too old, or from the future"),
    "unknown_sender": Reason(401, "发送方未准入或密钥不符", "the sender, or its key, is not admitted"),
    "replayed": Reason(403, "请求重复", "the request was received before"),
    "wrong_recipient": Reason(
        403, "请求的接收方不是本机构", "the request is addressed to another organisation"
    ),
    "sender_suspended": Reason(403, "发送方已被暂停或撤销", "the sender is suspended or revoked"),
    "body_too_large": Reason(413, "请求正文过大", "the body is larger than allowed"),
}


class WireError(Exception):
    """Root of the errors of requests."""


class Refused(WireError):
    """We refuse a request."""

    def __init__(self, code: str) -> None:
        reason = REASONS[code]
        super().__init__(f"{code}: {reason.message_en}")
        self.code, self.status, self.message = code, reason.status, reason.message_en
        self.message_zh, self.message_en = reason.message_zh, reason.message_en


class SignatureRefused(WireError):
    """A message's signature does not hold; `code` is a reason code, `detail` is for the log."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code, self.detail = code, detail


class PeerUnreachable(WireError):
    """No answer from a peer."""

    def __init__(self, org_id: str, reason: str) -> None:
        super().__init__(f"{org_id} cannot be reached: {reason}")
        self.org_id, self.reason = org_id, reason


class PeerRefused(WireError):
    """A peer answered, signed, with an error. `body` is what it said, `code` and `message` are taken from it."""

    def __init__(self, org_id: str, status: int, code: str, message: str, body: Mapping[str, Any]) -> None:
        super().__init__(f"{org_id} answered {status} {code}: {message}")
        self.org_id, self.status, self.code, self.message, self.body = org_id, status, code, message, body


class AcknowledgementInvalid(WireError):
    """An answer that is not the peer's signed answer to this request: believe nothing of it."""

    def __init__(self, org_id: str, reason: str) -> None:
        super().__init__(f"the answer of {org_id} is not valid: {reason}")
        self.org_id, self.reason = org_id, reason
