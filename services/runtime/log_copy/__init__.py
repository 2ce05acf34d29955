"""Carrying a log from Postgres to Kafka, once (docs/adr/0013-a-log-is-carried-record-by-record.md)."""
