// Runs a function of a bundle that numr wrote for target "wgsl" or "web", where there is WebGPU.
//
//     node examples/export/run.mjs FOLDER FUNCTION '{"x": [1, 2, 3], "k": [1, 1]}' ['{"n": 3}']
//
// Deno and Bun have WebGPU of their own (deno run -A, bun run); Node has it with the package "webgpu" (npm install
// webgpu). Prints the result as JSON and exits with 0; with 1 and a message where something is wrong, also where
// there is no WebGPU.

import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

async function withWebGpu() {
  if (globalThis.navigator?.gpu) return;
  try {
    const { create, globals } = await import("webgpu");
    Object.assign(globalThis, globals);
    Object.defineProperty(globalThis, "navigator", { value: { gpu: create([]) }, configurable: true });
  } catch {
    throw new Error('this JavaScript has no WebGPU: for Node, npm install webgpu; or run it with Deno or Bun');
  }
}

function plain(value) {
  if (typeof value === "bigint") return Number(value);
  if (ArrayBuffer.isView(value)) return Array.from(value, plain);
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, plain(v)]));
}

async function main([folder, name, args = "{}", sizes = "{}"]) {
  if (!folder || !name) throw new Error("say: run.mjs FOLDER FUNCTION ARGUMENTS [SIZES], the last two as JSON");
  const { main } = JSON.parse(await readFile(resolve(folder, "package.json"), "utf8"));
  const bundle = await import(pathToFileURL(resolve(folder, main)));
  const names = bundle.manifest.functions.map((f) => f.name);
  if (!names.includes(name)) throw new Error(`the bundle has no function ${name}; it has ${names.join(", ")}`);
  await withWebGpu();
  const model = await bundle.load();
  console.log(JSON.stringify(plain(await model[name](JSON.parse(args), JSON.parse(sizes)))));
}

main(process.argv.slice(2)).then(
  () => process.exit(0),
  (error) => {
    console.error(`run.mjs: ${error.message}`);
    process.exit(1);
  },
);
