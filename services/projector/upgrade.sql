-- What stands in the way of folding a projection anew, and what became of it.

-- name: living
-- How many projector processes reported alive of late.
select count(*) from projector_worker where seen > clock_timestamp() - $1::interval;

-- name: halts
-- Where a version stands still and why.
select partition, halted from projection_cursor where name = $1 and version = $2 and halted is not null;
