// Unpacks the browser that an npm package brings, once, into the folder `browser` beside the packages.
//
// `@sparticuz/chromium` is Chromium's headless shell as it is made for small machines: the program, and the libraries and
// the font that a bare system lacks. So the same browser with the same font is used everywhere, and nothing is fetched
// from anywhere but the package registry. It is there for x86-64 on Linux alone.

import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliDecompressSync } from "node:zlib";

const packed = join("node_modules", "@sparticuz", "chromium", "bin");
const folder = "browser";

function unpacked(name) {
  return brotliDecompressSync(readFileSync(join(packed, name)));
}

mkdirSync(folder, { recursive: true });
for (const archive of ["al2023.tar.br", "fonts.tar.br"]) {
  execFileSync("tar", ["--extract", "--no-same-owner", "--directory", folder], { input: unpacked(archive) });
}
writeFileSync(join(folder, "chromium"), unpacked("chromium.br"));
chmodSync(join(folder, "chromium"), 0o755);
// No font of the system: what fits on a page here fits in the same way everywhere.
writeFileSync(
  join(folder, "fonts.conf"),
  `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir prefix="relative">fonts</dir>
  <cachedir prefix="relative">fonts-cache</cachedir>
</fontconfig>
`,
);
