// What `cargo xtask console` says: where the bank is, which browser is used, and where to leave what.

import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";

function setting(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: these tests are run by \`cargo xtask console\``);
  return value;
}

/** Where the bank with the demonstration's people in it serves, such as `http://127.0.0.1:40123`. */
export const bankUrl = setting("CONSOLE_URL");
/** The program, for the tests that need another bank, or a console of its own. */
export const bankProgram = setting("CONSOLE_BANK");
/** Where those banks keep their data. */
export const dataFolder = setting("CONSOLE_DATA");
/** Where a picture of every page is left. */
export const picturesFolder = setting("CONSOLE_PICTURES");
/** A browser of the system; without one, the browser that was unpacked is used. */
export const systemBrowser = process.env.CONSOLE_BROWSER;
/** The browser that was unpacked. */
export const browserFolder = resolve("browser");

const password = "two people and a month";
/** The people of the demonstration: two customers, and an operator. */
export const ada = { email: "ada@example.com", password };
export const grace = { email: "grace@example.com", password };
export const olive = { email: "olive@example.com", password };

mkdirSync(picturesFolder, { recursive: true });

/** The path of a picture. */
export function pictureNamed(name) {
  return join(picturesFolder, `${name}.png`);
}
