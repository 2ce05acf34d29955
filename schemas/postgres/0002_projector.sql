-- Which projector processes are alive, so that they share the cursors evenly; and where a statement that was set aside stands in the order.

create table projector_worker (
    owner uuid primary key,
    seen timestamptz not null
);

alter table dead_letter add column seq bigint not null;
