"""Uses: which holders confirmed them, and as many rows as a contract may allow.

Revision 20261125u_use_counts, after 20261125b_approvals.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261125u_use_counts"
down_revision = "20261125b_approvals"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.alter_column("contract_use", "rows", type_=sa.BigInteger(), existing_nullable=False)
    op.add_column(
        "contract_use",
        sa.Column(
            "joined",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            server_default=sa.text("'[]'::jsonb"),
        ),
    )
    op.alter_column("contract_use", "joined", server_default=None)


def downgrade() -> None:
    """Take back."""
    op.drop_column("contract_use", "joined")
    op.alter_column("contract_use", "rows", type_=sa.Integer(), existing_nullable=False)
