"""Who of the console's users made a review, and until when the account may rest."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the columns."""
    op.add_column("reviews", sa.Column("user", sa.String(200)))
    op.add_column("reviews", sa.Column("snoozed_until", sa.Date))


def downgrade() -> None:
    """Drop them again."""
    with op.batch_alter_table("reviews") as table:
        table.drop_column("snoozed_until")
        table.drop_column("user")
