"""Who each account's champion is: the person of whom the features of the champion speak."""

from datetime import date

import duckdb

from features.declare import EARLIER
from features.instants import day_number
from features.rollups.weeks import held_rollups
from features.workspace import Workspace

BUSIEST = """
select account_id, user_id from (
    select account_id, user_id, sum(n) as uses from read_parquet($files)
    where day >= $first and day <= $last and visible_from <= $day
    group by account_id, user_id having sum(n) > 0
) qualify row_number() over (partition by account_id order by uses desc, user_id) = 1
"""


def champions(workspace: Workspace, day: date) -> dict[str, str]:
    """Account → its busiest user of the 56 days before the last 28, as known at a day's midnight.

    Of equally busy ones the first by name; an account of which nothing was seen then has none.
    """
    number = day_number(day)
    first, last = number - EARLIER.back - EARLIER.days, number - EARLIER.back - 1
    with held_rollups(workspace) as made, duckdb.connect(config={"threads": 2}) as con:
        files = made.files(workspace.rollups, "user_day", first, last)
        if not files:
            return {}
        asked = {"files": files, "first": first, "last": last, "day": number}
        return dict(con.execute(BUSIEST, asked).fetchall())
