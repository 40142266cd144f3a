"""What the fuzzer has to know of the bank that the description of the API cannot say.

- A few requests that the description allows are refused all the same, for what only the bank knows. They are told by the
  code of the problem. Any other refusal of an allowed request is a failure.
- An operation of a batch that the description does not allow is refused alone, in an answer to all of them.
- A cursor is opaque to whoever uses the API, but one that is well formed is taken whatever it says: here they are made of
  any text. Times are of the years that the bank's calendar has.
- An Idempotency-Key belongs to one request. The same request may come again with its key; another one gets another.
"""

import base64
import datetime
import hashlib
import json

import schemathesis
from hypothesis import strategies
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

REFUSALS = {
    # Which three letters are a currency, and how many decimals it has.
    "INVALID_CURRENCY",
    "INVALID_AMOUNT",
    "CURRENCY_MISMATCH",
    "SAME_ACCOUNT",
    # That no two operations of a batch have one key.
    "INVALID_BATCH",
    # What is easy to guess, and what stood in a letter.
    "WEAK_PASSWORD",
    "INVALID_CODE",
}

FIRST = datetime.datetime(1970, 1, 2)
LAST = datetime.datetime(9999, 12, 30)


@schemathesis.check
def allowed_data_acceptance(ctx, response, case):
    if response.status_code == 422 and response.json().get("code") in REFUSALS:
        return None
    return positive_data_acceptance(ctx, response, case)


LINES = "application/x-ndjson"


@schemathesis.deserializer(LINES)
def first_line(ctx, response):
    return json.loads(response.content.splitlines()[0])


def results_in(response):
    if LINES in response.headers.get("content-type", [""])[0]:
        return [json.loads(line) for line in response.content.splitlines()]
    return response.json()["results"]


@schemathesis.check
def wrong_data_rejection(ctx, response, case):
    if case.path == "/batches" and response.status_code == 200:
        if any(result["status"] >= 400 for result in results_in(response)):
            return None
    return negative_data_rejection(ctx, response, case)


@schemathesis.hook
def before_call(context, case, kwargs):
    key = case.headers.get("Idempotency-Key") if case.headers else None
    if isinstance(key, str) and 0 < len(key) <= 255 and key.isascii() and key.isprintable():
        asked = f"{case.method} {case.formatted_path} {case.body!r}"
        case.headers["Idempotency-Key"] = key[:246] + "-" + hashlib.sha256(asked.encode()).hexdigest()[:8]


def cursor(sort):
    said = b"\x01" + sort.encode()
    return base64.urlsafe_b64encode(said + hashlib.sha256(said).digest()[:4]).rstrip(b"=").decode()


schemathesis.openapi.format("cursor", strategies.text(max_size=60).map(cursor))
schemathesis.openapi.format(
    "date-time", strategies.datetimes(FIRST, LAST).map(lambda time: time.isoformat() + "Z")
)
