"""Which reasons each night showed."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0006"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "reasons_shown",
        sa.Column("model", sa.String(64), primary_key=True),
        sa.Column("as_of", sa.Date, primary_key=True),
        sa.Column("account_id", sa.Text, primary_key=True),
        sa.Column("signals", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Drop it again."""
    op.drop_table("reasons_shown")
