"""The console's errors.

ConsoleError
├─ ConfigInvalid         console.json cannot be read: says which entry and why
├─ NodeRefused           the organisation's node answered with an error; carries it for display
└─ NodeUnreachable       the organisation's node does not answer, or not with its pinned certificate
"""

from hefu.node.console_models import ApiError


class ConsoleError(Exception):
    """Root of the console's errors."""


class ConfigInvalid(ConsoleError):
    """console.json cannot be read."""


class NodeRefused(ConsoleError):
    """The node answered with an error; `error` says in both languages what is wrong and how to mend it."""

    def __init__(self, status: int, error: ApiError) -> None:
        super().__init__(f"{status} {error.code}: {error.message_en}")
        self.status, self.error = status, error


class NodeUnreachable(ConsoleError):
    """The node does not answer, or not with the certificate that the console trusts."""

    def __init__(self, org_id: str, reason: str) -> None:
        super().__init__(f"{org_id}: {reason}")
        self.org_id, self.reason = org_id, reason
