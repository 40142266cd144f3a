-- A deposit; what the settlement account owes is derived from its entries.
\set account random(1, :accounts)
\set amount random(1, 100000)
SELECT post(gen_random_uuid(), :account, :amount, false);
