-- A deposit that also updates the balance of the settlement account: one row for all.
\set account random(1, :accounts)
\set amount random(1, 100000)
SELECT post(gen_random_uuid(), :account, :amount, true);
