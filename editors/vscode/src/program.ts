import { execFile } from "node:child_process";
import { promisify } from "node:util";
import * as vscode from "vscode";

/** Where a missing or too old segue is explained. */
const installation = "https://github.com/seguehq/segue#use-it";

/** The program of the settings. */
export function program(): string {
  return vscode.workspace.getConfiguration("segue").get<string>("path") || "segue";
}

/**
 * Returns why the program can't serve an editor, undefined if it can. A segue without the command lsp is too old: the
 * versions of builds from source can't be compared.
 */
export async function problem(path: string): Promise<string | undefined> {
  try {
    await promisify(execFile)(path, ["lsp", "--help"], { timeout: 30_000 });
    return undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") {
      return `There is no program "${path}". Install segue, or set "segue.path".`;
    }
    return `"${path}" has no language server: it is too old, or another program. Install a newer segue.`;
  }
}

/** Shows a problem with the program, with its remedies. */
export async function explain(message: string): Promise<void> {
  const install = "How to Install";
  const settings = "Open Settings";
  const chosen = await vscode.window.showErrorMessage(message, install, settings);
  if (chosen === install) await vscode.env.openExternal(vscode.Uri.parse(installation));
  if (chosen === settings) await vscode.commands.executeCommand("workbench.action.openSettings", "segue.path");
}
