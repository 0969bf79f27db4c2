import * as vscode from "vscode";
import type { Automation, Server } from "./server";
import { projectFiles } from "./place";

/** An automation in the tree, with the segue.cue of its project. */
interface Node {
  automation: Automation;
  project: vscode.Uri;
}

/** A project in the tree. */
interface Project {
  project: vscode.Uri;
}

type Element = Node | Project;

/** The tree of all automations, with triggers and state. */
export class Tree implements vscode.TreeDataProvider<Element>, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<void>();
  readonly onDidChangeTreeData = this.changed.event;
  private readonly parts: vscode.Disposable[];

  constructor(private readonly server: Server) {
    this.parts = [
      vscode.window.registerTreeDataProvider("segue.automations", this),
      server.onStart(() => this.changed.fire()),
      vscode.languages.onDidChangeDiagnostics((e) => {
        if (e.uris.some((uri) => uri.path.endsWith(".cue"))) this.changed.fire();
      }),
      vscode.workspace.onDidSaveTextDocument((d) => {
        if (d.languageId === "cue") this.changed.fire();
      }),
      this.changed,
    ];
  }

  async getChildren(element?: Element): Promise<Element[]> {
    if (element && "automation" in element) return [];
    if (element) return this.automations(element.project);
    const projects = await projectFiles();
    if (projects.length === 1) return this.automations(projects[0]);
    return projects.map((project) => ({ project }));
  }

  private async automations(project: vscode.Uri): Promise<Node[]> {
    try {
      await this.server.check(project.toString());
      const all = await this.server.list(project.toString());
      return all.map((automation) => ({ automation, project }));
    } catch {
      return []; // the server does not run yet, or not any more
    }
  }

  getTreeItem(element: Element): vscode.TreeItem {
    if (!("automation" in element)) {
      const folder = vscode.Uri.joinPath(element.project, "..");
      return new vscode.TreeItem(folder, vscode.TreeItemCollapsibleState.Expanded);
    }
    const { key, name, trigger, enabled } = element.automation;
    const item = new vscode.TreeItem(name || key);
    item.id = `${element.project} ${key}`;
    item.description = `${trigger.kind}: ${trigger.name}${enabled ? "" : " (disabled)"}`;
    item.tooltip = `${key}\n${trigger.kind} "${trigger.name}"\n${enabled ? "enabled" : "disabled"}`;
    item.iconPath = new vscode.ThemeIcon("zap", enabled ? undefined : new vscode.ThemeColor("disabledForeground"));
    item.contextValue = "automation";
    item.command = { command: "segue.open", title: "Open", arguments: [element] };
    return item;
  }

  dispose(): void {
    for (const p of this.parts) p.dispose();
  }
}
