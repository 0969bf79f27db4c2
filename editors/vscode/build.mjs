// Bundles the extension into out/, with CUE's grammar and the licenses of all that is in it.
import { build } from "esbuild";
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";

rmSync("out", { recursive: true, force: true });
mkdirSync("out");
const { metafile } = await build({
  entryPoints: ["src/extension.ts"],
  outfile: "out/extension.js",
  bundle: true,
  platform: "node",
  format: "cjs",
  target: "node20",
  external: ["vscode"],
  minify: true,
  metafile: true,
});

const grammars = "node_modules/tm-grammars";
writeFileSync("out/cue.tmLanguage.json", readFileSync(`${grammars}/grammars/cue.json`));

const packages = new Set(Object.keys(metafile.inputs).flatMap((file) => file.match(/^node_modules\/(?:@[^/]+\/)?[^/]+/) ?? []));
const notices = [...packages].sort().map((folder) => {
  const name = readdirSync(folder).find((file) => /^licen[cs]e/i.test(file));
  if (!name) throw new Error(`${folder} has no license`);
  return `${folder.replace("node_modules/", "")}\n\n${readFileSync(`${folder}/${name}`, "utf8").trim()}`;
});
writeFileSync("out/NOTICES.txt", [cueLicense(), ...notices].join(`\n\n${"-".repeat(80)}\n\n`) + "\n");

/** The license of CUE's grammar, from the notices of tm-grammars. */
function cueLicense() {
  const line = /^-{60,}$|^={60,}$/;
  const parts = readFileSync(`${grammars}/NOTICE`, "utf8").split(/\r?\n/);
  const at = parts.findIndex((text) => /^Files:\s+cue\.json$/.test(text));
  if (at < 0) throw new Error("tm-grammars has no notice for cue.json");
  const from = parts.findIndex((text, i) => i > at && line.test(text)) + 1;
  const to = parts.findIndex((text, i) => i > from && line.test(text));
  return `The grammar of CUE, cue.tmLanguage.json\n\n${parts.slice(from, to).join("\n").trim()}`;
}
