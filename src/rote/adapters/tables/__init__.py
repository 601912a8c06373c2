"""Data as tables: CSV, Parquet and JSON lines, and folders of files; asked with SQL by DuckDB."""
