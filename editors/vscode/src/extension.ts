import * as vscode from "vscode";
import { Server } from "./server";
import { Preview } from "./preview";
import { Tree } from "./tree";
import { registerCommands } from "./commands";

let server: Server | undefined;

/** Starts the language server, and all that shows its answers. */
export async function activate(context: vscode.ExtensionContext): Promise<void> {
  if (!vscode.workspace.isTrusted) {
    context.subscriptions.push(vscode.workspace.onDidGrantWorkspaceTrust(() => activate(context)));
    return;
  }
  server = new Server();
  const preview = new Preview(server);
  const tree = new Tree(server);
  context.subscriptions.push(server, preview, tree, ...registerCommands(server, preview));
  await server.start();
}

export async function deactivate(): Promise<void> {
  await server?.stop();
}
