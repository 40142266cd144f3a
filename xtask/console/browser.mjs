// The browser, without a window.

import { join } from "node:path";

import { chromium } from "playwright-core";

import { browserFolder, systemBrowser } from "./settings.mjs";

// It is root that runs it in a container, there is no screen, and it has nobody to talk to but the bank.
const switches = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Opens the browser that was unpacked, with its own libraries and font, or the system's if one is named. */
export function openBrowser() {
  if (systemBrowser) return chromium.launch({ executablePath: systemBrowser, args: switches });
  return chromium.launch({
    executablePath: join(browserFolder, "chromium"),
    args: switches,
    env: {
      ...process.env,
      LD_LIBRARY_PATH: join(browserFolder, "lib"),
      FONTCONFIG_FILE: join(browserFolder, "fonts.conf"),
    },
  });
}
