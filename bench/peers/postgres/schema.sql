-- A ledger as one would write it by hand on PostgreSQL. Every posting is one transaction and one round trip: it checks
-- and keeps its idempotency key, updates the balance on the condition that it does not fall below zero, writes both
-- entries, and leaves an event in an outbox.

CREATE TABLE accounts (
    account_id bigint PRIMARY KEY,
    balance bigint NOT NULL,
    version bigint NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE operations (
    idempotency_key uuid PRIMARY KEY,
    account_id bigint NOT NULL,
    amount bigint NOT NULL,
    balance_after bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE entries (
    entry_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    idempotency_key uuid NOT NULL,
    account_id bigint NOT NULL,
    amount bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE outbox (
    sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event jsonb NOT NULL
);

-- Account 0 is the settlement account that deposits come from. It may owe.
INSERT INTO accounts SELECT number, 0, 0 FROM generate_series(0, :accounts) AS number;

CREATE FUNCTION post(key uuid, customer bigint, added bigint, settles boolean) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    after bigint;
BEGIN
    UPDATE accounts SET balance = balance + added, version = version + 1
        WHERE account_id = customer AND balance + added >= 0 RETURNING balance INTO after;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'insufficient funds';
    END IF;
    INSERT INTO operations (idempotency_key, account_id, amount, balance_after) VALUES (key, customer, added, after);
    INSERT INTO entries (idempotency_key, account_id, amount) VALUES (key, customer, added), (key, 0, -added);
    INSERT INTO outbox (event) VALUES (jsonb_build_object(
        'kind', 'DEPOSIT_EVENT', 'operation_id', key, 'account_id', customer, 'amount', added, 'balance_after', after));
    -- The row that all share comes last, so that it is locked for as short a time as it can be.
    IF settles THEN
        UPDATE accounts SET balance = balance - added, version = version + 1 WHERE account_id = 0;
    END IF;
    RETURN after;
END
$$;
