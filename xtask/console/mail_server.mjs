// A mail server (RFC 5321) that keeps every letter that it is given.

import { once } from "node:events";
import { createServer } from "node:net";
import { createInterface } from "node:readline";

import { until } from "./program.mjs";

export class MailServer {
  #letters = [];
  #server;

  static async start() {
    const mail = new MailServer();
    mail.#server = createServer((socket) => mail.#talk(socket)).listen(0, "127.0.0.1");
    await once(mail.#server, "listening");
    return mail;
  }

  get url() {
    return `smtp://127.0.0.1:${this.#server.address().port}`;
  }

  /** Waits for the letter with these words in it, and returns the code that it brings. */
  async code(words) {
    const letter = await until(`a letter to ${words}`, () => this.#letters.find((text) => text.includes(words)));
    return letter.match(/^\s*(\d{8})\s*$/m)[1];
  }

  stop() {
    this.#server.close();
  }

  async #talk(socket) {
    // Whoever hangs up in the middle has said all there is to say.
    socket.on("error", () => {});
    const say = (answer) => socket.write(`${answer}\r\n`);
    let letter;
    say("220 mail.example.com ESMTP");
    for await (const line of createInterface({ input: socket, crlfDelay: Infinity })) {
      if (letter && line === ".") {
        this.#letters.push(letter.join("\n"));
        letter = undefined;
        say("250 taken");
      } else if (letter) {
        letter.push(line);
      } else if (line.startsWith("DATA")) {
        letter = [];
        say("354 go on");
      } else if (line.startsWith("QUIT")) {
        say("221 good-bye");
        socket.end();
      } else {
        say("250 well");
      }
    }
  }
}
