"""Uses of models under their licences.

Revision 20261125v_model_uses, after 20261125u_use_counts.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261125v_model_uses"
down_revision = "20261125u_use_counts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "model_use",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("model_id", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("predictions", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_model_use_model_id"), "model_use", ["model_id"], unique=False)


def downgrade() -> None:
    """Take back."""
    op.drop_index(op.f("ix_model_use_model_id"), table_name="model_use")
    op.drop_table("model_use")
