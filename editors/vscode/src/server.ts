import * as vscode from "vscode";
import { LanguageClient, type LanguageClientOptions } from "vscode-languageclient/node";
import { explain, problem, program } from "./program";

/** An automation, as segue.list names it. */
export interface Automation {
  key: string;
  name: string;
  trigger: { kind: string; name: string };
  enabled: boolean;
}

/** The results of segue.test. */
export interface TestReport {
  packages: { package: string; results: { key: string; name?: string; passed: boolean }[] }[] | null;
}

/** The language server: it starts and stops it, and asks it what the protocol has no request for. */
export class Server implements vscode.Disposable {
  readonly output = vscode.window.createOutputChannel("segue", { log: true });
  private client: LanguageClient | undefined;
  private readonly started = new vscode.EventEmitter<void>();
  /** Fires when the server has started, also again. */
  readonly onStart = this.started.event;
  private readonly settings: vscode.Disposable;

  constructor() {
    this.settings = vscode.workspace.onDidChangeConfiguration((e) => {
      if (e.affectsConfiguration("segue.path")) void this.restart();
    });
  }

  /** Starts the server, or says why it can't. */
  async start(): Promise<void> {
    const command = program();
    const reason = await problem(command);
    if (reason) {
      this.output.error(reason);
      void explain(reason);
      return;
    }
    const options: LanguageClientOptions = {
      documentSelector: [
        { scheme: "file", language: "cue" },
        { scheme: "file", language: "json" },
        { scheme: "file", language: "yaml" },
      ],
      outputChannel: this.output,
      initializationOptions: { inlayHints: vscode.workspace.getConfiguration("segue").get("inlayHints") },
      synchronize: { configurationSection: "segue" },
      middleware: { executeCommand: (name, args, next) => show(name, args) ?? next(name, args) },
    };
    this.client = new LanguageClient("segue", "segue", { command, args: ["lsp"] }, options);
    await this.client.start();
    await vscode.commands.executeCommand("setContext", "segue.runs", true);
    this.started.fire();
  }

  async stop(): Promise<void> {
    const client = this.client;
    this.client = undefined;
    await vscode.commands.executeCommand("setContext", "segue.runs", false);
    await client?.dispose();
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** The request of an automation, as of the newest text. */
  async render(uri: string, key: string, values: Record<string, unknown>): Promise<string> {
    return (await this.ask<{ text: string }>("segue.render", { uri, key, values })).text;
  }

  async list(uri: string): Promise<Automation[]> {
    return this.ask("segue.list", { uri });
  }

  async test(uri: string, key?: string): Promise<TestReport> {
    return this.ask("segue.test", { uri, key });
  }

  async plan(uri: string): Promise<string> {
    return (await this.ask<{ text: string }>("segue.plan", { uri })).text;
  }

  /** Waits until all that was typed is checked. */
  async check(uri: string): Promise<void> {
    await this.ask("segue.check", { uri });
  }

  private async ask<T>(command: string, argument: object): Promise<T> {
    if (!this.client) throw new Error("The language server does not run.");
    return this.client.sendRequest("workspace/executeCommand", { command, arguments: [argument] });
  }

  dispose(): void {
    this.settings.dispose();
    this.started.dispose();
    void this.stop();
    this.output.dispose();
  }
}

/** The commands of lenses whose answers are shown by a command of the extension. */
const shown: Record<string, string> = {
  "segue.render": "segue.showRender",
  "segue.test": "segue.runTests",
  "segue.plan": "segue.showPlan",
};

function show(name: string, args: unknown[]): Thenable<unknown> | undefined {
  return name in shown ? vscode.commands.executeCommand(shown[name], ...args) : undefined;
}
