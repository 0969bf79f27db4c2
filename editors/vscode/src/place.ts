import * as vscode from "vscode";

/** How an automation begins, on one line or below "automations: {". */
const single = /^automations:\s*(?:"([^"]+)"|([\w$-]+))\s*:/;
const nested = /^\s+(?:"([^"]+)"|([\w$-]+))\s*:.*\bautomation\.#/;

/** The label of the automation at a position, undefined outside of one. */
export function automationAt(document: vscode.TextDocument, at: vscode.Position): string | undefined {
  for (let line = at.line; line >= 0; line--) {
    const text = document.lineAt(line).text;
    const m = single.exec(text) ?? nested.exec(text);
    if (m) return m[1] ?? m[2];
  }
  return undefined;
}

/** A file of the workspace that is in a project: the active one, or else a segue.cue. */
export async function anyFile(): Promise<vscode.Uri | undefined> {
  const active = vscode.window.activeTextEditor?.document;
  if (active?.languageId === "cue" && active.uri.scheme === "file") return active.uri;
  return (await projectFiles())[0];
}

/** The segue.cue of each project in the workspace. */
export async function projectFiles(): Promise<vscode.Uri[]> {
  const found = await vscode.workspace.findFiles("**/segue.cue", "**/{node_modules,cue.mod}/**");
  return found.sort((a, b) => (a.path < b.path ? -1 : 1));
}
