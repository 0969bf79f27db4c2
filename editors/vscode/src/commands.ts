import { execFile } from "node:child_process";
import { promisify } from "node:util";
import * as vscode from "vscode";
import type { Automation, Server, TestReport } from "./server";
import type { Preview } from "./preview";
import { anyFile } from "./place";
import { explain, problem, program } from "./program";

/** The argument of a command: of a lens, of the tree, or none. */
interface Argument {
  uri?: string;
  key?: string;
  automation?: Automation;
  project?: vscode.Uri;
}

/** Registers the commands of the palette, the lenses and the tree. */
export function registerCommands(server: Server, preview: Preview): vscode.Disposable[] {
  const reported = (name: string, run: (argument?: Argument) => Promise<unknown>) =>
    vscode.commands.registerCommand(name, async (argument?: Argument) => {
      try {
        return await run(argument);
      } catch (error) {
        void vscode.window.showErrorMessage(`segue: ${(error as Error).message}`);
      }
    });
  return [
    reported("segue.showRender", (a) => preview.show(placed(a))),
    reported("segue.runTests", async (a) => showTests(server, await server.test(await fileOf(a), placed(a)?.key))),
    reported("segue.showPlan", async (a) => showPlan(await planned(server, await fileOf(a)))),
    reported("segue.open", (a) => open(a)),
    reported("segue.init", () => init(server)),
    reported("segue.restart", () => server.restart()),
    reported("segue.showOutput", async () => server.output.show()),
  ];
}

function placed(a?: Argument): { uri: string; key: string } | undefined {
  const uri = a?.uri ?? a?.project?.toString();
  const key = a?.key ?? a?.automation?.key;
  return uri && key ? { uri, key } : undefined;
}

async function fileOf(a?: Argument): Promise<string> {
  const uri = a?.uri ?? a?.project?.toString() ?? (await anyFile())?.toString();
  if (!uri) throw new Error("there is no project in this workspace");
  return uri;
}

/** Writes the results of tests to the output, and their number to a message. */
function showTests(server: Server, report: TestReport): void {
  const results = (report.packages ?? []).flatMap((p) => p.results ?? []);
  const failed = results.filter((r) => !r.passed);
  for (const r of results) {
    server.output.info(`${r.passed ? "ok" : "FAILED"} ${[r.key, r.name].filter(Boolean).join(": ")}`);
  }
  if (failed.length > 0) {
    server.output.show(true);
    void vscode.window.showErrorMessage(`segue: ${failed.length} of ${results.length} tests failed`);
  } else {
    void vscode.window.showInformationMessage(`segue: ${results.length} tests passed`);
  }
}

async function planned(server: Server, uri: string): Promise<string> {
  const progress = { location: vscode.ProgressLocation.Notification, title: "segue: planning" };
  return vscode.window.withProgress(progress, () => server.plan(uri));
}

async function showPlan(text: string): Promise<void> {
  const document = await vscode.workspace.openTextDocument({ content: text, language: "plaintext" });
  await vscode.window.showTextDocument(document, { viewColumn: vscode.ViewColumn.Beside, preview: true });
}

/** Opens the automation of a node of the tree, at the place that the workspace's symbols have. */
async function open(a?: Argument): Promise<void> {
  const key = a?.automation?.key;
  if (!key) return;
  const symbols = await vscode.commands.executeCommand<vscode.SymbolInformation[]>("vscode.executeWorkspaceSymbolProvider", key);
  const folder = a.project && vscode.Uri.joinPath(a.project, "..").path;
  const found = symbols.find((s) => s.name === key && (!folder || s.location.uri.path.startsWith(folder)));
  if (found) await vscode.window.showTextDocument(found.location.uri, { selection: found.location.range });
}

/** Runs segue init in the first folder of the workspace. */
async function init(server: Server): Promise<void> {
  const folder = vscode.workspace.workspaceFolders?.[0];
  if (!folder) {
    await vscode.commands.executeCommand("vscode.openFolder");
    return;
  }
  const reason = await problem(program());
  if (reason) return explain(reason);
  await promisify(execFile)(program(), ["init", "."], { cwd: folder.uri.fsPath });
  await server.restart();
  await vscode.window.showTextDocument(vscode.Uri.joinPath(folder.uri, "segue.cue"));
}
