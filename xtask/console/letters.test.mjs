// Letters: a bank of its own with a mail server, where addresses are confirmed and passwords are set anew.

import { after, before } from "node:test";

import { journeys } from "./journey.mjs";
import { MailServer } from "./mail_server.mjs";
import { freshFolder, start } from "./program.mjs";
import { signIn, stranger } from "./steps.mjs";

journeys("letters", (journey) => {
  let mail;
  let bank;
  before(async () => {
    mail = await MailServer.start();
    bank = await start(["serve", "--rate-limit", "off", "--data-dir", freshFolder()], {
      BANK_SMTP_URL: mail.url,
      BANK_MAIL_FROM: "The Bank <bank@example.com>",
    });
  });
  after(async () => {
    await bank?.stop();
    mail?.stop();
  });

  journey("a person confirms her address, and sets a new password where she forgot hers", async (arrive) => {
    const customer = await arrive({}, bank.url);
    const { page } = customer;
    const person = stranger();
    await page.goto("/sign-up");
    await page.getByLabel("Email").fill(person.email);
    await page.getByLabel("Password").fill(person.password);
    await page.getByRole("button", { name: "Sign up" }).click();
    await page.getByRole("heading", { name: "Confirm your address" }).waitFor();
    await page.getByLabel("Code").fill(await mail.code("confirm your email address"));
    await page.getByRole("button", { name: "Confirm" }).click();
    await page.waitForURL("/sign-in?*");

    await page.getByRole("link", { name: "Forgotten password" }).click();
    await page.getByLabel("Email").fill(person.email);
    await page.getByRole("button", { name: "Send a code" }).click();
    await page.getByRole("heading", { name: "New password" }).waitFor();
    await page.getByLabel("Code").fill(await mail.code("set a new password"));
    const renewed = { ...person, password: "another walk by the sea" };
    await page.getByLabel("Password").fill(renewed.password);
    await page.getByRole("button", { name: "Set the password" }).click();
    await page.waitForURL("/sign-in?*");

    await signIn(customer, renewed);
    await page.waitForURL("/app");
  });
});
