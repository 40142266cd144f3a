"""Starts the emulator of AWS, and the fault proxy before it, as one group of processes that lasts as long as its input.

    emulator.py PORT FAULTS_PORT

Whoever starts this holds the other end of its standard input. When that end closes, for whatever reason, everything
here is killed: the emulator, the proxy, and the functions that the emulator started. Nothing else ends it.

Six things are mended on the way, each as small as it can be, and each because AWS behaves otherwise:

- A stream's function may answer that some records of its batch failed. The emulator takes any answer for success and
  those records would be lost; here the whole batch comes again, which "at least once" allows.
- The gateway's own answers are made as the API's definition says. The emulator reads them from other places only.
- Who may send a message may send a batch of them: AWS has no action of its own for a batch, the emulator has.
- The gateway's answers do not name the software behind it.
- The proxy keeps the Host of a request, which is part of what its signature covers.
- What is written to a function leaves at once. The emulator writes the head and the body of an answer apart, and the
  second waits 40 ms for the first to be acknowledged, once for an event and once for its result.

Deliberately absent: bisecting a failed batch, and an end of its retries. The tests of the relay itself look at these.
"""

import os
import signal
import subprocess
import sys
import threading

HOST = "127.0.0.1"


def main():
    port, faults_port = sys.argv[1:3]
    os.setpgid(0, 0)
    threading.Thread(target=end_with_the_input, daemon=True).start()
    url = f"http://{HOST}:{port}"
    subprocess.Popen([sys.executable, __file__, "faults", url, faults_port], stdin=subprocess.DEVNULL)
    # The emulator reads all of these while it is imported.
    os.environ.update(
        BIND_HOST=HOST,
        GATEWAY_PORT=port,
        MINISTACK_HOST=HOST,
        IOT_MTLS_ENABLED="0",
        SFTP_ENABLED="0",
        LOG_LEVEL="WARNING",
        # What the functions are told: their store is behind the proxy.
        AWS_ENDPOINT_URL=url,
        AWS_ENDPOINT_URL_DYNAMODB=f"http://{HOST}:{faults_port}",
    )
    sys.argv = ["ministack"]
    import socketserver

    from hypercorn.config import Config
    from ministack import app
    from ministack.core import iam_actions
    from ministack.services import apigateway_v1, lambda_svc

    Config.include_server_header = False
    socketserver.StreamRequestHandler.disable_nagle_algorithm = True
    lambda_svc._execute_function = failing_with_its_records(lambda_svc._execute_function)
    iam_actions.extract_iam_action = without_batches(iam_actions.extract_iam_action)
    apigateway_v1._import_rest_api = with_gateway_responses(apigateway_v1)
    app.main()


def serve_faults():
    url, port = sys.argv[2:4]
    from microburst.cli import main as serve
    from microburst.forward import Upstream

    without_host = Upstream._outbound_headers
    Upstream._outbound_headers = lambda upstream, request: {
        **without_host(upstream, request),
        "host": request.headers["host"],
    }
    sys.exit(serve(["--upstream", url, "--host", HOST, "--port", port]))


def end_with_the_input():
    sys.stdin.buffer.read()
    os.killpg(0, signal.SIGKILL)


def failing_with_its_records(execute):
    def executed(function, event):
        result = execute(function, event)
        records = event.get("Records") or [{}] if isinstance(event, dict) else [{}]
        body = result.get("body")
        if records[0].get("eventSource") == "aws:dynamodb" and isinstance(body, dict) and body.get("batchItemFailures"):
            failed = {"errorType": "ReportBatchItemFailures", "errorMessage": str(body["batchItemFailures"])}
            return {**result, "error": True, "body": failed}
        return result

    return executed


def without_batches(extract):
    def extracted(service, *request, **options):
        action = extract(service, *request, **options)
        return action.removesuffix("Batch") if service == "sqs" and action else action

    return extracted


def with_gateway_responses(apigateway):
    without = apigateway._import_rest_api

    def imported(definition, data=None):
        api = without(definition, data)
        for kind, response in (definition.get("x-amazon-apigateway-gateway-responses") or {}).items():
            apigateway._put_gateway_response(api, kind, response)
        return api

    return imported


if __name__ == "__main__":
    serve_faults() if sys.argv[1] == "faults" else main()
