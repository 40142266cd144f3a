-- A deposit as services would make it that share nothing but messages: one transaction each, one after the other.
\set account random(1, :accounts)
\set amount random(1, 100000)
SELECT accept(gen_random_uuid(), :account, :amount) AS key \gset
SELECT judge(:key::uuid, :account, :amount) AS after \gset
SELECT conclude(:key::uuid);
SELECT show(:key::uuid, :account, :amount, :after);
SELECT tell(:key::uuid, :account, :amount);
