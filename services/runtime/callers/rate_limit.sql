-- name: draw
-- Draw up to $3 requests from the bucket of key $1, which refills with $2 a second and holds as many, at least one; gives how many there were and what is left.
insert into api_key_rate as bucket (key, tokens, granted, at)
select $1, brim - least($3::int, floor(brim)), least($3::int, floor(brim)), clock_timestamp()
from (select greatest($2::float8, 1) as brim) as full_one
on conflict (key) do update set (tokens, granted, at) = (
    select filled - least($3::int, floor(filled)), least($3::int, floor(filled)), clock_timestamp()
    from (
        select least(greatest($2::float8, 1), bucket.tokens + $2::float8 * greatest(0, extract(epoch from clock_timestamp() - bucket.at)::float8)) as filled
    ) as refilled
)
returning granted, tokens
