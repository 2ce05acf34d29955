// Chromium opens a page that plays a client, and prints what the page has in `window.report` at last, with the preflights and errors the browser saw.
"use strict";
const { chromium } = require("playwright-core");
const { report } = require("./report.cjs");

const QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

report(async ({ program, page: address }) => {
  const browser = await chromium.launch({ executablePath: program, args: QUIET });
  try {
    const page = await browser.newPage();
    const [preflights, errors] = [[], []];
    const devtools = await page.context().newCDPSession(page);
    devtools.on("Network.requestWillBeSent", (sent) => { if (sent.initiator.type === "preflight") preflights.push(sent.request.headers["Access-Control-Request-Method"]); });
    page.on("pageerror", (error) => errors.push(String(error)));
    page.on("console", (message) => { if (message.type() === "error") errors.push(`${message.text()} ${message.location().url}`); });
    await devtools.send("Network.enable");
    await page.goto(address);
    await page.waitForFunction("window.report !== undefined", null, { timeout: 30_000 });
    return { ...(await page.evaluate("window.report")), preflights, errors };
  } finally {
    await browser.close();
  }
});
