// Journeys: tests in which one visitor, or several, walk through the bank in a browser.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { openBrowser } from "./browser.mjs";
import { pictureNamed } from "./settings.mjs";
import { Visitor } from "./visitor.mjs";

/** Groups journeys that are made in one browser. `define` is handed the function that adds one. */
export function journeys(name, define) {
  describe(name, () => {
    let browser;
    before(async () => {
      browser = await openBrowser();
    });
    after(() => browser?.close());
    define((title, walk) => it(title, () => make(browser, title, walk)));
  });
}

/**
 * Lets somebody walk through the bank. `arrive` brings a visitor, with the settings of her browser; there may be more
 * than one. Whatever any of them had to complain of fails the journey. A picture is left of where it failed.
 */
async function make(browser, title, walk) {
  const visitors = [];
  const arrive = async (...settings) => {
    const visitor = await Visitor.arrive(browser, ...settings);
    visitors.push(visitor);
    return visitor;
  };
  try {
    await walk(arrive);
  } catch (error) {
    for (const [index, { page }] of visitors.entries()) {
      const picture = pictureNamed(`failed-${title.replaceAll(/[^a-z0-9]+/gi, "-")}-${index}`);
      await page.screenshot({ path: picture, fullPage: true }).catch(() => {});
    }
    throw error;
  } finally {
    await Promise.all(visitors.map((visitor) => visitor.leave()));
  }
  const complaints = visitors.flatMap((visitor) => visitor.complaints);
  assert.ok(complaints.length === 0, complaints.join("\n"));
}
