"""Keep symbols apart of which no unit is known, in exposure.

Revises: d9b25e70c4f6
"""

import sqlalchemy as sa
from alembic import op

revision = "2f8e4c1d9a06"
down_revision = "d9b25e70c4f6"

# What contracts does not have was one group, though the units of its members may differ.
_APART = """
CREATE OR REPLACE VIEW poller.exposure AS
SELECT time, account, market, base_asset, margin_asset,
    sum(abs(exposure)) AS gross_exposure,
    sum(exposure) AS net_exposure,
    sum(exposure) FILTER (WHERE exposure > 0) AS long_exposure,
    sum(exposure) FILTER (WHERE exposure < 0) AS short_exposure,
    sum(quantity) AS net_quantity,
    sum(unrealized_pnl) AS unrealized_pnl,
    count(*) FILTER (WHERE position_amount <> 0) AS positions,
    CASE WHEN base_asset IS NULL THEN symbol END AS symbol
FROM poller.position_states
GROUP BY time, account, market, base_asset, margin_asset, CASE WHEN base_asset IS NULL THEN symbol END
"""

_TOGETHER = """
CREATE VIEW poller.exposure AS
SELECT time, account, market, base_asset, margin_asset,
    sum(abs(exposure)) AS gross_exposure,
    sum(exposure) AS net_exposure,
    sum(exposure) FILTER (WHERE exposure > 0) AS long_exposure,
    sum(exposure) FILTER (WHERE exposure < 0) AS short_exposure,
    sum(quantity) AS net_quantity,
    sum(unrealized_pnl) AS unrealized_pnl,
    count(*) FILTER (WHERE position_amount <> 0) AS positions
FROM poller.position_states
GROUP BY time, account, market, base_asset, margin_asset
"""

_SYMBOL = "Of a symbol that contracts does not have, whose units are unknown: it has a row of its own; else null."


def upgrade() -> None:
    op.execute(_APART)
    _comment("COLUMN poller.exposure.symbol", _SYMBOL)


def downgrade() -> None:
    inspector = sa.inspect(op.get_bind())
    said = inspector.get_table_comment("exposure", schema="poller")["text"]
    columns = inspector.get_columns("exposure", schema="poller")
    # A view loses a column only by being made anew, and with it what was said of the others.
    op.execute("DROP VIEW poller.exposure")
    op.execute(_TOGETHER)
    _comment("VIEW poller.exposure", said)
    for column in columns:
        if column["name"] != "symbol":
            _comment(f"COLUMN poller.exposure.{column['name']}", column["comment"])


def _comment(target: str, comment: str | None) -> None:
    quoted = (comment or "").replace("'", "''")
    op.execute(f"COMMENT ON {target} IS '{quoted}'")
