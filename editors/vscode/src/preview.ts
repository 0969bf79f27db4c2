import * as vscode from "vscode";
import type { Server } from "./server";
import { automationAt } from "./place";

/** What the preview shows. */
interface Shown {
  uri: string;
  key: string;
}

/** The request of an automation beside the text. It follows what is typed, with values to play with. */
export class Preview implements vscode.Disposable {
  private panel: vscode.WebviewPanel | undefined;
  private shown: Shown | undefined;
  private values: Record<string, unknown> = {};
  private latest = 0;
  private readonly events: vscode.Disposable[];

  constructor(private readonly server: Server) {
    this.events = [
      vscode.workspace.onDidChangeTextDocument((e) => {
        if (e.document.languageId === "cue" && e.contentChanges.length > 0) void this.renew();
      }),
      server.onStart(() => void this.renew()),
    ];
  }

  /** Shows an automation; without one, that at the cursor. */
  async show(shown?: Shown): Promise<void> {
    shown ??= await this.atCursor();
    if (!shown) {
      void vscode.window.showInformationMessage("Put the cursor into an automation, or choose one in the tree.");
      return;
    }
    if (shown.key !== this.shown?.key || shown.uri !== this.shown.uri) this.values = {};
    this.shown = shown;
    this.panel ??= this.open();
    this.panel.title = `${shown.key}`;
    this.panel.reveal(undefined, true);
    await this.renew();
  }

  private async atCursor(): Promise<Shown | undefined> {
    const editor = vscode.window.activeTextEditor;
    if (editor?.document.languageId !== "cue") return undefined;
    const name = automationAt(editor.document, editor.selection.active);
    const uri = editor.document.uri.toString();
    const all = await this.server.list(uri);
    const folder = vscode.workspace.asRelativePath(vscode.Uri.joinPath(editor.document.uri, ".."), false);
    const found = all.filter((a) => a.key.split("/").pop() === name);
    const key = (found.find((a) => folder.endsWith(a.key.slice(0, -(name?.length ?? 0) - 1))) ?? found[0])?.key;
    return key ? { uri, key } : undefined;
  }

  private open(): vscode.WebviewPanel {
    const panel = vscode.window.createWebviewPanel(
      "segue.preview",
      "segue",
      { viewColumn: vscode.ViewColumn.Beside, preserveFocus: true },
      { enableScripts: true, retainContextWhenHidden: true },
    );
    panel.webview.html = page();
    panel.webview.onDidReceiveMessage((message: { values?: Record<string, unknown> }) => {
      this.values = message.values ?? this.values;
      void this.renew();
    });
    panel.onDidDispose(() => {
      this.panel = this.shown = undefined;
    });
    return panel;
  }

  /** Asks for the request again. An answer that is older than another question is not shown. */
  private async renew(): Promise<void> {
    const { panel, shown } = this;
    if (!panel || !shown) return;
    const question = ++this.latest;
    const names = await placeholders(shown);
    let answer: { text: string; failed: boolean };
    try {
      answer = { text: await this.server.render(shown.uri, shown.key, this.values), failed: false };
    } catch (error) {
      answer = { text: (error as Error).message, failed: true };
    }
    if (question === this.latest && this.panel === panel) {
      await panel.webview.postMessage({ key: shown.key, names, values: this.values, ...answer });
    }
  }

  dispose(): void {
    this.panel?.dispose();
    for (const e of this.events) e.dispose();
  }
}

/** The placeholders in the file of an automation. */
async function placeholders(shown: Shown): Promise<string[]> {
  const document = await vscode.workspace.openTextDocument(vscode.Uri.parse(shown.uri));
  const names = [...document.getText().matchAll(/\{\{\s*([\p{L}\d_.-]+)\s*(?:\|[^}]*)?\}\}/gu)].map((m) => m[1]);
  return [...new Set(names)].sort();
}

/** The page in the panel. Its script only gets data, and writes it as text. */
function page(): string {
  const nonce = crypto.randomUUID();
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; style-src 'nonce-${nonce}'; script-src 'nonce-${nonce}'">
<style nonce="${nonce}">
  body { font: var(--vscode-font-size) var(--vscode-font-family); padding: 0 16px 16px; }
  h1 { font-size: 1.15em; margin: 16px 0 8px; }
  h2 { font-size: 1em; margin: 20px 0 8px; color: var(--vscode-descriptionForeground); font-weight: 600; }
  pre { font: var(--vscode-editor-font-size) var(--vscode-editor-font-family); margin: 0; padding: 12px;
    background: var(--vscode-textCodeBlock-background); border-radius: 4px; white-space: pre-wrap; word-break: break-word; }
  pre.failed { color: var(--vscode-errorForeground); }
  form { display: grid; grid-template-columns: max-content minmax(8em, 24em); gap: 6px 12px; align-items: center; }
  label { font-family: var(--vscode-editor-font-family); }
  input { font: inherit; padding: 3px 6px; color: var(--vscode-input-foreground);
    background: var(--vscode-input-background); border: 1px solid var(--vscode-input-border, transparent); border-radius: 2px; }
  input:focus { outline: 1px solid var(--vscode-focusBorder); }
</style>
</head>
<body>
<h1 id="key"></h1>
<pre id="text"></pre>
<h2>Values of placeholders; an empty field takes the sample</h2>
<form id="values"></form>
<script nonce="${nonce}">
  const vscode = acquireVsCodeApi();
  const at = (id) => document.getElementById(id);
  let names = "";
  function send() {
    const values = {};
    for (const { name, value } of at("values").querySelectorAll("input")) if (value !== "") values[name] = parse(value);
    vscode.postMessage({ values });
  }
  function parse(value) {
    return /^(true|false|-?\\d+(\\.\\d+)?)$/.test(value) ? JSON.parse(value) : value;
  }
  function fields(list, values) {
    if (names === list.join()) return;
    names = list.join();
    at("values").replaceChildren(...list.flatMap((name) => {
      const label = Object.assign(document.createElement("label"), { htmlFor: "v-" + name, textContent: name });
      const input = Object.assign(document.createElement("input"), { id: "v-" + name, name, value: values[name] ?? "" });
      input.addEventListener("input", send);
      return [label, input];
    }));
  }
  addEventListener("message", ({ data }) => {
    at("key").textContent = data.key;
    at("text").textContent = data.text;
    at("text").className = data.failed ? "failed" : "";
    fields(data.names, data.values);
  });
  vscode.postMessage({});
</script>
</body>
</html>`;
}
