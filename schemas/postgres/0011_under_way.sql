-- Decisions under way are looked for several times a second: those that are folded, and those of which nothing was heard. Each by an index of its own, which
-- holds few rows, however many decisions have passed through the table since it was vacuumed.
create index under_way_folded on under_way (folded) where folded is not null;
create index under_way_made on under_way (made) where folded is null;
