"""Preparations: what one person prepared and another has to approve.

Revision 20261125c_preparations, after 20261125b_subjects_and_keys.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261125c_preparations"
down_revision = "20261125b_subjects_and_keys"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "preparation",
        sa.Column("preparation_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("prepared_by", sa.String(), nullable=False),
        sa.Column("prepared_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("preparation_id"),
    )
    op.create_index(op.f("ix_preparation_subject"), "preparation", ["subject"], unique=False)


def downgrade() -> None:
    """Take back."""
    op.drop_table("preparation")
