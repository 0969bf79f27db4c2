// Drives VS Code, as code-server, in Chromium: node editor.mjs ENTRY WORK
// SEGUE_SCREENSHOTS names the folder for screenshots and the log of code-server.
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const [entry, work] = process.argv.slice(2);
const screenshots = process.env.SEGUE_SCREENSHOTS;
const patience = 40_000;

const files = {
  "project/segue.cue": `project: "acme"
sources: segment: writeKey: secret: "SEGMENT_WRITE_KEY"
targets: local: platform: "embedded"
`,
  "project/cue.mod/module.cue": `module: "example.com/acme"
language: version: "v0.17.1"
`,
  "project/growth/signup.cue": `package growth

import "github.com/seguehq/segue/schema/automation"

automations: signup: automation.#Track & {
	name: "Signed up"
	trigger: pattern: "Account activated"
	payload: {
		userId: "{{userId}}"
		event:  "Signed Up"
		properties: team: "{{accountName}}"
		properties: duration: "{{duration | number}}"
	}
}
`,
  "user/User/settings.json": JSON.stringify({
    "files.autoSave": "off",
    "telemetry.telemetryLevel": "off",
    "workbench.startupEditor": "none",
    "workbench.secondarySideBar.defaultVisibility": "hidden",
    "chat.disableAIFeatures": true,
    "security.workspace.trust.enabled": false,
    "window.menuBarVisibility": "compact",
  }),
  // code-server takes the PATH of a login shell.
  "user/Machine/settings.json": JSON.stringify({ "segue.path": join(work, "bin/segue") }),
  "config.yaml": "auth: none\nbind-addr: 127.0.0.1:0\n",
};
for (const [name, content] of Object.entries(files)) {
  mkdirSync(dirname(join(work, name)), { recursive: true });
  writeFileSync(join(work, name), content);
}
const file = join(work, "project/growth/signup.cue");
const options = ["--config", join(work, "config.yaml"), "--user-data-dir", join(work, "user"),
  "--extensions-dir", join(work, "extensions"), "--disable-telemetry", "--disable-update-check"];

const installed = spawnSync(process.execPath, [entry, ...options, "--install-extension", "segue.vsix"], { encoding: "utf8" });
if (installed.status !== 0) throw new Error(installed.stdout + installed.stderr);

mkdirSync(screenshots, { recursive: true });
const log = openSync(join(screenshots, "code-server.log"), "w");
const server = spawn(process.execPath, [entry, ...options], { stdio: ["ignore", "pipe", log] });
let browser;
try {
  const address = await listening(server);
  browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
  const page = await browser.newPage({ viewport: { width: 1400, height: 800 } });
  page.setDefaultTimeout(patience);
  await page.goto(`${address}/?folder=${join(work, "project")}`);
  try {
    await check(page);
  } catch (error) {
    await shoot(page, "failed");
    throw error;
  }
} finally {
  await browser?.close();
  server.kill();
}

/** The address that code-server prints when it is ready. */
async function listening(server) {
  for await (const line of createInterface(server.stdout)) {
    const m = /listening on (http:\/\/\S+?)\/?$/.exec(line);
    if (m) return m[1];
  }
  throw new Error("code-server has ended");
}

async function check(page) {
  const { keyboard } = page;
  const lines = page.locator(".editor-instance .view-lines").first();
  const has = (text) => lines.filter({ hasText: text }).waitFor();

  await page.locator(".monaco-workbench .explorer-folders-view").waitFor();
  await keyboard.press("Control+p");
  await keyboard.type("signup.cue");
  await page.locator(".quick-input-list .monaco-list-row", { hasText: "signup.cue" }).first().waitFor();
  await keyboard.press("Enter");
  await has("Signed Up");
  await page.locator(".codelens-decoration", { hasText: "render" }).waitFor();
  await shoot(page, "1-colors");

  await goTo(page, 9);
  await keyboard.press("End");
  for (let i = 0; i < 3; i++) await keyboard.press("ArrowLeft");
  await keyboard.press("Backspace");
  await keyboard.type("D");
  await page.locator(".squiggly-error").first().waitFor();
  if (readFileSync(file, "utf8").includes("userID")) throw new Error("the file was saved");
  await shoot(page, "2-squiggle");
  console.log("ok: squiggle on an unsaved buffer");

  await keyboard.press("Escape"); // the list of completions
  await keyboard.press("Control+.");
  const fix = page.locator(".action-widget .action", { hasText: "Write {{userId}}" }).first();
  await fix.waitFor();
  await shoot(page, "3-fixes");
  await fix.click();
  await has(`userId: "{{userId}}"`);
  await page.locator(".squiggly-error").waitFor({ state: "detached" });
  console.log("ok: quick fix applied");

  await goTo(page, 11);
  await keyboard.press("End");
  await keyboard.press("ArrowLeft");
  for (let i = 0; i < "{{accountName}}".length; i++) await keyboard.press("Backspace");
  await keyboard.type("{{user");
  const item = page.locator(".suggest-widget.visible .monaco-list-row", { hasText: "userName" });
  await item.waitFor();
  await shoot(page, "4-completion");
  await item.click();
  await has(`team: "{{userName}}"`);
  console.log("ok: placeholder completion in a string");

  for (let i = 0; i < 4; i++) await keyboard.press("ArrowLeft");
  await keyboard.press("Control+k");
  await keyboard.press("Control+i");
  await page.locator(".monaco-hover", { hasText: "Triggers: pattern, journey" }).first().waitFor();
  await shoot(page, "5-hover");
  await keyboard.press("Escape");
  console.log("ok: hover");

  await page.locator(".codelens-decoration a", { hasText: "render" }).click();
  const preview = await webview(page);
  const request = preview.locator("#text");
  await request.filter({ hasText: `"event": "Signed Up"` }).waitFor();
  await goTo(page, 10);
  await keyboard.press("End");
  await keyboard.press("ArrowLeft");
  await keyboard.type(" Again");
  await request.filter({ hasText: `"event": "Signed Up Again"` }).waitFor();
  await preview.locator("#v-userName").fill("Grace");
  await request.filter({ hasText: `"team": "Grace"` }).waitFor();
  await shoot(page, "6-preview");
  console.log("ok: the preview follows the text and the values");

  await page.locator(".activitybar .action-label[aria-label='segue']").click();
  await page.locator(".pane-body .monaco-list-row", { hasText: "Signed up" }).waitFor();
  await shoot(page, "7-tree");
  console.log("ok: tree");
}

async function goTo(page, line) {
  await page.locator(".editor-instance .view-lines").first().click({ position: { x: 5, y: 5 } });
  await page.keyboard.press("Control+g");
  await page.locator(".quick-input-widget input").fill(`:${line}`);
  await page.keyboard.press("Enter");
  await page.locator(".quick-input-widget").waitFor({ state: "hidden" });
}

/** The frame of the preview: VS Code puts it into two others. */
async function webview(page) {
  const outer = page.frameLocator("iframe.webview.ready");
  const inner = outer.frameLocator("iframe#active-frame");
  await inner.locator("#text").waitFor();
  return inner;
}

async function shoot(page, name) {
  await page.screenshot({ path: join(screenshots, `${name}.png`) });
}
