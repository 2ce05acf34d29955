"""Judging learners at a moment, from what the tables say was known then: shared by deciders, previews, explanations and `testamur doctor`.

`Catalogs.at` gives the programmes, `load_members` who the learners are, `load_people` what they were given, `load_facts` what they have done;
`judge.judge_programme` and `judge.judge_course` say what holds and which entries the ledger lacks. All but the loading is pure.
"""
