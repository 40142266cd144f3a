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

-- What services keep of their own who make a deposit together: the operation of the one who accepts it and concludes it, the
-- verdict of the ledger, a balance and a history to be shown, a notice for the customer. Each of them takes a message
-- twice without harm, as its rows have the operation's key.

CREATE TABLE asked (
    idempotency_key uuid PRIMARY KEY,
    account_id bigint NOT NULL,
    amount bigint NOT NULL,
    status text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

CREATE TABLE balances (
    account_id bigint PRIMARY KEY,
    balance bigint NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE history (
    account_id bigint NOT NULL,
    idempotency_key uuid NOT NULL,
    amount bigint NOT NULL,
    balance_after bigint NOT NULL,
    PRIMARY KEY (account_id, idempotency_key)
);

CREATE TABLE notices (
    idempotency_key uuid PRIMARY KEY,
    account_id bigint NOT NULL,
    notice jsonb NOT NULL
);

CREATE FUNCTION accept(key uuid, customer bigint, added bigint) RETURNS uuid LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO asked (idempotency_key, account_id, amount, status) VALUES (key, customer, added, 'PENDING');
    INSERT INTO outbox (event) VALUES (jsonb_build_object(
        'kind', 'DEPOSIT_CMD', 'operation_id', key, 'account_id', customer, 'amount', added));
    RETURN key;
END
$$;

CREATE FUNCTION judge(key uuid, customer bigint, added bigint) RETURNS bigint LANGUAGE sql AS
    'SELECT post(key, customer, added, false)';

CREATE FUNCTION conclude(key uuid) RETURNS void LANGUAGE sql AS
    $$UPDATE asked SET status = 'COMPLETED' WHERE idempotency_key = key AND status = 'PENDING'$$;

CREATE FUNCTION show(key uuid, customer bigint, added bigint, after bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO history (account_id, idempotency_key, amount, balance_after) VALUES (customer, key, added, after);
    INSERT INTO balances (account_id, balance) VALUES (customer, after)
        ON CONFLICT (account_id) DO UPDATE SET balance = excluded.balance;
END
$$;

CREATE FUNCTION tell(key uuid, customer bigint, added bigint) RETURNS void LANGUAGE sql AS
    $$INSERT INTO notices (idempotency_key, account_id, notice) VALUES
        (key, customer, jsonb_build_object('kind', 'DEPOSITED', 'amount', added))$$;
