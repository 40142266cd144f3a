// What the console keeps out: other sites, scripts that were smuggled in, and people who are not who they would have to
// be.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";

import { inspect } from "./inspection.mjs";
import { journeys } from "./journey.mjs";
import { ada, bankUrl, grace } from "./settings.mjs";
import { openAccount, signIn, signUp, stranger } from "./steps.mjs";

journeys("protection", (journey) => {
  journey("a wrong password is refused, whoever it is", async (arrive) => {
    const visitor = await arrive();
    const { page } = visitor;
    for (const email of [ada.email, stranger().email]) {
      await visitor.isRefused(401, async () => {
        await signIn(visitor, { email, password: "not hers at all" });
        await page.getByRole("alert").getByText("The address or the password is wrong.").waitFor();
      });
      assert.equal(await page.getByLabel("Email").inputValue(), email);
      assert.equal(await page.getByLabel("Password").inputValue(), "");
    }
    await inspect(visitor, "customer-sign-in-refused");
  });

  journey("a form of another site moves no money, though the cookie goes along", async (arrive) => {
    const customer = await arrive();
    const { page } = customer;
    await signUp(customer, stranger());
    const account = await openAccount(customer, "Everyday", "EUR");
    const form = `<form method="post" action="${bankUrl}/app/move/deposit">
      <input name="account" value="${account}"><input name="amount" value="5"><input name="key" value="a-key-of-theirs">
      <button>Win a prize</button></form>`;
    const trap = `<!doctype html><link rel="icon" href="data:,">${form}`;
    const site = createServer((_, response) => response.setHeader("content-type", "text/html").end(trap));
    await once(site.listen(0, "127.0.0.1"), "listening");
    const address = `http://127.0.0.1:${site.address().port}/`;
    try {
      await page.goto(address);
      await customer.isRefused(403, async () => {
        await page.getByRole("button", { name: "Win a prize" }).click();
        await page.waitForURL("/app/move/deposit");
      });
    } finally {
      site.close();
      site.closeAllConnections();
    }
    assert.deepEqual(customer.complaints.splice(0), [`request to another host: ${address}`]);
    await page.goto(`/app/accounts/${account}`);
    await page.getByText("0.00").first().waitFor();
    assert.equal(await page.getByRole("row").count(), 0);
  });

  journey("a script that was smuggled into a page does not run, and fetches nothing from elsewhere", async (arrive) => {
    const visitor = await arrive();
    const { page } = visitor;
    await page.goto("/");
    await page.evaluate(() => {
      const script = document.createElement("script");
      script.textContent = "globalThis.hasRun = true";
      const picture = document.createElement("img");
      picture.src = "http://elsewhere.example/stolen.png";
      document.body.append(script, picture);
    });
    await page.waitForTimeout(200);
    assert.equal(await page.evaluate(() => globalThis.hasRun), undefined);
    const complaints = visitor.complaints.splice(0).join("\n");
    assert.match(complaints, /policy: script-src-elem forbids inline/);
    assert.match(complaints, /policy: img-src forbids http:\/\/elsewhere\.example/);
  });

  journey("a session is in a cookie that no script reads", async (arrive) => {
    const customer = await arrive();
    await signUp(customer, stranger());
    const { httpOnly, sameSite, value } = await customer.cookie("bank_session");
    assert.deepEqual({ httpOnly, sameSite }, { httpOnly: true, sameSite: "Lax" });
    assert.doesNotMatch(value, /\./, "a token is in the browser");
    assert.equal(await customer.page.evaluate(() => document.cookie), "");
  });

  journey("pages are for those who are signed in, and lead back to what was wanted", async (arrive) => {
    const visitor = await arrive();
    const { page } = visitor;
    await page.goto("/app/notifications");
    assert.equal(new URL(page.url()).pathname, "/sign-in");
    await page.getByLabel("Email").fill(grace.email);
    await page.getByLabel("Password").fill(grace.password);
    await page.getByRole("main").getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("heading", { level: 1, name: "Notifications" }).waitFor();
  });

  journey("another's account is not there, nor is the back office", async (arrive) => {
    const owner = await arrive();
    await signUp(owner, stranger());
    const account = await openAccount(owner, "Everyday", "EUR");
    const customer = await arrive();
    const { page } = customer;
    await signIn(customer, grace);
    await page.waitForURL("/app");
    await customer.isRefused(404, () => page.goto(`/app/accounts/${account}`));
    await page.getByRole("heading", { name: "There is nothing here" }).waitFor();
    await inspect(customer, "customer-not-found");
    assert.equal(await page.getByRole("link", { name: "Back office" }).count(), 0);
    for (const path of ["/office", "/office/books", "/office/dead-letters", "/office/search?q=ada@example.com"]) {
      await customer.isRefused(403, () => page.goto(path));
      await page.getByRole("heading", { name: "For operators only" }).waitFor();
    }
    await inspect(customer, "office-refused");
  });

  journey("whoever signs out everywhere is signed out on every device", async (arrive) => {
    const person = stranger();
    const [here, there] = [await arrive(), await arrive()];
    await signUp(here, person);
    await signIn(there, person);
    await there.page.waitForURL("/app");
    await here.page.getByRole("link", { name: "Settings" }).click();
    await here.page.getByText(person.email).waitFor();
    await inspect(here, "customer-settings");
    await here.page.getByRole("button", { name: "Sign out everywhere" }).click();
    await here.page.waitForURL("/");
    for (const { page } of [here, there]) {
      await page.goto("/app");
      assert.equal(new URL(page.url()).pathname, "/sign-in");
    }
  });
});
