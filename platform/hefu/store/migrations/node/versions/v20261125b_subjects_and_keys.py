"""Subjects kept out of computations, and the keys of files at rest.

Revision 20261125b_subjects_and_keys, after 20261125a_filings.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261125b_subjects_and_keys"
down_revision = "20261125a_filings"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "excluded_subject",
        sa.Column("data_set_id", sa.String(), nullable=False),
        sa.Column("contract_id", sa.String(), nullable=False),
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("filing", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("data_set_id", "contract_id", "token", "kind"),
    )
    op.create_table(
        "stored_key",
        sa.Column("key_digest", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("job", sa.String(), nullable=True),
        sa.Column("data_set_id", sa.String(), nullable=True),
        sa.Column("contract_id", sa.String(), nullable=True),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("destroyed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("certified", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("key_digest"),
    )
    op.create_index(
        "stored_key_of_a_place",
        "stored_key",
        ["path"],
        unique=True,
        postgresql_where=sa.text("destroyed_at IS NULL"),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_index(
        "stored_key_of_a_place", table_name="stored_key", postgresql_where=sa.text("destroyed_at IS NULL")
    )
    op.drop_table("stored_key")
    op.drop_table("excluded_subject")
