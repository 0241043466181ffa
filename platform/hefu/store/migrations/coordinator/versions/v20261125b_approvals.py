"""Approvals: one object per decision.

Revision 20261125b_approvals, after 20261125a_filings.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261125b_approvals"
down_revision = "20261125a_filings"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "approval",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("contract_id", sa.String(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("deadline", sa.DateTime(timezone=True), nullable=False),
        sa.Column("value", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("subject"),
    )
    op.create_index(op.f("ix_approval_contract_id"), "approval", ["contract_id"], unique=False)
    op.create_index(op.f("ix_approval_state"), "approval", ["state"], unique=False)


def downgrade() -> None:
    """Take back."""
    op.drop_table("approval")
