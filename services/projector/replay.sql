-- Comparing two versions while both are folded.

-- name: places
-- Where whoever folds this version is.
select partition, position, halted from projection_cursor where name = $1 and version = $2 order by partition;

-- name: snapshot
-- The first statement of a transaction fixes what it sees.
select 1;
