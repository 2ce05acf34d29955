-- What Postgres knows of a log on Kafka: which one it is, and how much of it was folded.

-- name: lock
-- Wait until nobody else makes the log; held until the connection ends.
select pg_advisory_lock($1);

-- name: identity
-- The log of this installation, if it has one.
select log_id, kind, partitions from testamur.log_identity;

-- name: identify
-- Remember the log of this installation.
insert into testamur.log_identity (log_id, kind, partitions) values ($1, 'kafka', $2);

-- name: folded
-- How many records of a partition were folded at most, by any version of any projection.
select partition, max(position) as folded from testamur.projection_cursor where log_id = $1 group by partition;
