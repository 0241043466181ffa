"""The domain's errors.

DomainError
├─ DocumentInvalid       a document cannot be read: says which document, which clause, and why
└─ TransitionRefused     a state machine does not allow the step
"""


class DomainError(Exception):
    """Root of the domain's errors."""


class DocumentInvalid(DomainError):
    """A document cannot be read; `clause` is the dotted path of the field at fault ("" for the whole)."""

    def __init__(self, document: str, clause: str, reason: str) -> None:
        super().__init__(f"{document}: {clause or 'document'}: {reason}")
        self.document, self.clause, self.reason = document, clause, reason


class TransitionRefused(DomainError):
    """A state machine does not allow the step."""
