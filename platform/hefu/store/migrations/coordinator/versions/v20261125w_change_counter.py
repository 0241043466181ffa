"""The newest evidence outside jobs is found at once: nodes ask for it every second.

Revision 20261125w_change_counter, after 20261125u_use_counts.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261125w_change_counter"
down_revision = "20261125u_use_counts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_index(
        "newest_change_outside_jobs", "journal", ["signer_seq"], postgresql_where=sa.text("job is null")
    )


def downgrade() -> None:
    """Take back."""
    op.drop_index("newest_change_outside_jobs", "journal")
