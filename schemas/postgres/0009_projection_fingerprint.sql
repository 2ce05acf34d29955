-- What the tables of a version of a projection were made with, and what is folded into them: services/runtime/migrate.py (fingerprint_of). Null: made before
-- this was kept, so by an earlier version of Testamur.
alter table projection add column fingerprint text;
