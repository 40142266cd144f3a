-- The deposit of spread.sql as an application sends it: statement by statement, in six round trips.
\set account random(1, :accounts)
\set amount random(1, 100000)
BEGIN;
UPDATE accounts SET balance = balance + :amount::bigint, version = version + 1
    WHERE account_id = :account AND balance + :amount::bigint >= 0 RETURNING balance AS after \gset
INSERT INTO operations (idempotency_key, account_id, amount, balance_after)
    VALUES (gen_random_uuid(), :account, :amount, :after) RETURNING idempotency_key AS key \gset
INSERT INTO entries (idempotency_key, account_id, amount)
    VALUES (:key::uuid, :account::bigint, :amount::bigint), (:key::uuid, 0, - :amount::bigint);
INSERT INTO outbox (event) VALUES (jsonb_build_object(
    'kind', 'DEPOSIT_EVENT', 'operation_id', :key::text, 'account_id', :account::bigint,
    'amount', :amount::bigint, 'balance_after', :after::bigint));
COMMIT;
