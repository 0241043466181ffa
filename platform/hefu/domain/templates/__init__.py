"""Contract templates 合约模板: one per scenario, so that a user fills in a form instead of a document (WP-A, 3.3).

A template says which roles take part, which clauses stand, what the form asks. It is offered while its component is
installed; otherwise it says so and refuses to draft.
"""

from hefu.domain.templates.scenarios import TEMPLATES, Template, template

__all__ = ["TEMPLATES", "Template", "template"]
