"""Uses: everybody's rows beside our own, and as many as a contract may allow.

Revision 20261125u_use_counts, after 20261125q_query_history. What was counted before is taken to be our own rows alone.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261125u_use_counts"
down_revision = "20261125q_query_history"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.alter_column("contract_use", "rows", type_=sa.BigInteger(), existing_nullable=False)
    op.add_column("contract_use", sa.Column("rows_all", sa.BigInteger(), nullable=True))
    op.execute("update contract_use set rows_all = rows")
    op.alter_column("contract_use", "rows_all", nullable=False)


def downgrade() -> None:
    """Take back."""
    op.drop_column("contract_use", "rows_all")
    op.alter_column("contract_use", "rows", type_=sa.Integer(), existing_nullable=False)
