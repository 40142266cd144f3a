// The bank's API as a slow bank would answer: what has been asked for stays PENDING until it is let go.

import { once } from "node:events";
import { createServer } from "node:http";

import { bankUrl } from "./settings.mjs";

export class SlowApi {
  /** Whether operations stay PENDING. */
  holds = true;
  #server;

  static async start() {
    const api = new SlowApi();
    api.#server = createServer((request, response) => api.#pass(request, response)).listen(0, "127.0.0.1");
    await once(api.#server, "listening");
    return api;
  }

  get url() {
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  stop() {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #pass(request, response) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const { host, connection, "accept-encoding": _, "content-length": __, ...headers } = request.headers;
    const body = chunks.length > 0 ? Buffer.concat(chunks) : undefined;
    const answer = await fetch(`${bankUrl}${request.url}`, { method: request.method, headers, body });
    let text = await answer.text();
    if (this.holds && answer.ok && request.url.startsWith("/operation-status/")) {
      const { ended_at, balance_after, account_version, ...operation } = JSON.parse(text);
      text = JSON.stringify({ ...operation, status: "PENDING" });
    }
    response.writeHead(answer.status, { "content-type": answer.headers.get("content-type") ?? "text/plain" });
    response.end(text);
  }
}
