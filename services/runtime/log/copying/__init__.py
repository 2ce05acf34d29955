"""Carrying a log from Postgres to Kafka, once (docs/adr/0014-a-log-is-carried-record-by-record.md)."""
