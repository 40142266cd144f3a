// A visitor of the bank: one person's browser, with her cookies, and somebody who looks over her shoulder.
//
// Wherever she goes, this must not happen: an error in a script or in the console, a violation of the content security
// policy, a request to another host, an answer that is an error and was not expected. What did is among her `complaints`.

import { bankUrl } from "./settings.mjs";

/** The longest that anything on a page is waited for, in milliseconds. */
export const patience = 15_000;

export class Visitor {
  /** What should not have happened. */
  complaints = [];
  #home;
  #context;
  #expectedStatus;

  /** Comes to a bank, or to a console elsewhere, with a browser of these settings (Playwright's). */
  static async arrive(browser, settings = {}, home = bankUrl) {
    const visitor = new Visitor();
    visitor.#home = home;
    visitor.#context = await browser.newContext({
      baseURL: home,
      locale: "en-GB",
      timezoneId: "Europe/Berlin",
      reducedMotion: "reduce",
      viewport: { width: 1280, height: 800 },
      ...settings,
    });
    visitor.#context.setDefaultTimeout(patience);
    await visitor.#watch();
    /** The page she is on. */
    visitor.page = await visitor.#context.newPage();
    return visitor;
  }

  /** Does something that the bank has to refuse with this status, and with a page that says so. */
  async isRefused(status, action) {
    this.#expectedStatus = status;
    await action();
    if (this.#expectedStatus !== null) this.complaints.push(`nothing was refused with ${status}`);
    this.#expectedStatus = undefined;
  }

  /** Her cookie of this name. */
  async cookie(name) {
    return (await this.#context.cookies()).find((cookie) => cookie.name === name);
  }

  async leave() {
    await this.#context.close();
  }

  async #watch() {
    const context = this.#context;
    await context.exposeFunction("complainOfPolicy", (violation) => this.complaints.push(violation));
    await context.addInitScript(() => {
      addEventListener("securitypolicyviolation", (event) => {
        const { effectiveDirective, blockedURI } = event;
        globalThis.complainOfPolicy(`policy: ${effectiveDirective} forbids ${blockedURI} on ${location.href}`);
      });
    });
    context.on("weberror", (error) => this.complaints.push(`script: ${error.error()}`));
    context.on("console", (message) => {
      // A refused request is written there too: answers are judged by their status, below.
      const isOfAnswer = message.text().startsWith("Failed to load resource");
      if (["error", "warning"].includes(message.type()) && !isOfAnswer) {
        this.complaints.push(`console: ${message.text()} (${message.page()?.url()})`);
      }
    });
    context.on("request", (request) => {
      if (new URL(request.url()).origin !== this.#home) {
        this.complaints.push(`request to another host: ${request.url()}`);
      }
    });
    context.on("response", (response) => this.#judge(response));
  }

  #judge(response) {
    if (response.status() < 400) return;
    if (response.status() === this.#expectedStatus) {
      this.#expectedStatus = null;
    } else {
      this.complaints.push(`${response.status()} from ${response.url()}`);
    }
  }
}
