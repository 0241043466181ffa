"""Filings: signed documents about compliance.

Revision 20261125a_filings, after 20261122_first_tables.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261125a_filings"
down_revision = "20261122_first_tables"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "filing",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("issuer", sa.String(), nullable=False),
        sa.Column("contract_id", sa.String(), nullable=True),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index(op.f("ix_filing_contract_id"), "filing", ["contract_id"], unique=False)


def downgrade() -> None:
    """Take back."""
    op.drop_table("filing")
