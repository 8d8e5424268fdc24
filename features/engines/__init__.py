"""Where tables are computed: DuckDB on this machine, or Spark."""
