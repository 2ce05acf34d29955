// Chromium opens a page, with all its details, as wide as asked for, and prints the words in its tables that are broken over two lines.
"use strict";
const { chromium } = require("playwright-core");
const { report } = require("./report.cjs");

report(async ({ program, page: address, width, authorization }) => {
  const browser = await chromium.launch({ executablePath: program, args: ["--no-sandbox", "--disable-gpu"] });
  try {
    const page = await browser.newPage({ viewport: { width, height: 900 }, extraHTTPHeaders: { Authorization: authorization, Accept: "text/html" } });
    await page.goto(address);
    return await page.evaluate(() => {
      for (const each of document.querySelectorAll("details")) each.open = true;
      const cells = [...document.querySelectorAll("td, th")];
      const found = cells.flatMap((cell) => [...cell.childNodes]).filter((node) => node.nodeType === Node.TEXT_NODE).flatMap((text) => {
        const words = [...text.data.matchAll(/(?<=^|\s)\p{L}{2,}(?=$|[\s.,:;])/gu)];
        return words.map((word) => {
          const range = document.createRange();
          range.setStart(text, word.index);
          range.setEnd(text, word.index + word[0].length);
          return [word[0], range.getClientRects().length];
        });
      });
      return { words: found.map(([word]) => word), broken: found.filter(([, lines]) => lines > 1).map(([word]) => word) };
    });
  } finally {
    await browser.close();
  }
});
