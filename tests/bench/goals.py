"""What performance is held to, each as a ratio against a limit measured in the same run."""
from tests.bench.recipe import Goal

G1 = Goal("G1", "cut, parse and fully check a statement ÷ orjson.loads (CPU)", 2.8, 3.5, less_is_better=True)
G2 = Goal("G2", "POST of one statement, authenticated and checked, append left out ÷ raw ASGI echo (server CPU)", 2.2, 3.0, less_is_better=True)
G3 = Goal("G3", "POST of one statement, 64 clients, durable ÷ the same with the append left out (rate)", 0.45, 0.35, less_is_better=False)
G4 = Goal("G4", "log append, 64 at once ÷ file append and fdatasync with the same batching (rate)", 0.60, 0.45, less_is_better=False)
G5 = Goal("G5", "log append, 64 at once ÷ one INSERT each (rate)", 6.0, 4.0, less_is_better=False)
G6 = Goal("G6", "one append at a time ÷ one file append and fdatasync at a time (median time)", 2.0, 3.0, less_is_better=True)
G7 = Goal("G7", "whole projection, one process ÷ bare COPY of the same bytes without an index (rate)", 0.18, 0.13, less_is_better=False)
G7C = Goal("G7c", "the same in CPU of process and server", 5.5, 8.0, less_is_better=True)
G8 = Goal("G8", "whole projection ÷ COPY into the same indexed table (rate)", 0.38, 0.28, less_is_better=False)
G9 = Goal("G9", "set-based fold of runs of 2,000 ÷ row-by-row upserts (rate)", 8.0, 5.0, less_is_better=False)
G10 = Goal("G10", "GET by one direct filter, the slowest of them ÷ the next statements of all (median of a page of 100)", 2.5, 4.0, less_is_better=True)
G11 = Goal("G11", "GET with related_agents or related_activities, the slowest of them ÷ the same", 3.0, 80.0, less_is_better=True)
G13 = Goal("G13", "assemble a page of 100 statements ÷ join the same bytes (CPU)", 5.0, 20.0, less_is_better=True)
G14 = Goal("G14", "sustained rate, ingested and projected with flat lag ÷ what two cores could do at this CPU per statement", 0.5, 0.35, less_is_better=False)
G14K = Goal("G14k", "the same with the log on Kafka (one broker, on the same cores)", 0.5, 0.35, less_is_better=False)
G16 = Goal("G16", "full replay ÷ parsing the log alone (CPU)", 5.0, 7.0, less_is_better=True)
PAIR = Goal("PAIR", "a statement of one actor on one activity, after all the others of the pair ÷ an ordinary one (CPU)", 1.5, 2.0, less_is_better=True)

ALL = (G1, G2, G3, G4, G5, G6, G7, G7C, G8, G9, G10, G11, G13, G14, G14K, G16, PAIR)
