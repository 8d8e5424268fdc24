"""Scores with what they were made of, and the reviews of them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "contracts",
        sa.Column("hash", sa.String(64), primary_key=True),
        sa.Column("features", sa.Text, nullable=False),
    )
    op.create_table(
        "scores",
        sa.Column("score_id", sa.String(32), primary_key=True),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("model", sa.String(64), nullable=False),
        sa.Column("model_version", sa.String(64), nullable=False),
        sa.Column("bundle", sa.String(64), nullable=False),
        sa.Column("as_of", sa.Date, nullable=False),
        sa.Column("snapshot", sa.String(64), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("probability", sa.Double, nullable=False),
        sa.Column("log_odds", sa.Double, nullable=False),
        sa.Column("low", sa.Double),
        sa.Column("high", sa.Double),
        sa.Column("grade", sa.String(1), nullable=False),
        sa.Column("contract", sa.String(64), sa.ForeignKey("contracts.hash"), nullable=False),
        sa.Column("row_sha256", sa.String(64), nullable=False),
        sa.Column("inputs", sa.LargeBinary, nullable=False),
        sa.Column("parts", sa.LargeBinary, nullable=False),
    )
    op.create_index("scores_of_account", "scores", ["account_id", "model", "as_of"])
    op.create_index("scores_of_day", "scores", ["model", "as_of"])
    op.create_table(
        "reviews",
        sa.Column("review_id", sa.String(32), primary_key=True),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("model", sa.String(64), nullable=False),
        sa.Column("model_version", sa.String(64)),
        sa.Column("score_id", sa.String(32)),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("action", sa.String(500)),
        sa.Column("outcome", sa.String(16)),
        sa.Column("note", sa.Text),
        sa.Column("key_id", sa.String(16), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("reviews_of_account", "reviews", ["account_id", "made_at"])
    op.create_index("reviews_of_model", "reviews", ["model", "model_version"])


def downgrade() -> None:
    """Drop them again."""
    for table in ("reviews", "scores", "contracts"):
        op.drop_table(table)
