/** The sources of the repository as tidy.test.ts looks at them: paths, lines, imports, exports, functions. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { maskLiterals } from "./mask.js";

/** Something a file exports or declares at its top level. */
export interface Declaration {
  readonly name: string;
  readonly line: number;
  readonly isDocumented: boolean;
}

/** A function or method and how many lines it has, from its head to its closing brace. */
export interface FunctionSize {
  readonly name: string;
  readonly line: number;
  readonly lineCount: number;
}

/** One TypeScript or AssemblyScript file below src/. */
export interface SourceFile {
  /** Path from src/, with slashes. */
  readonly path: string;
  readonly lines: readonly string[];
  /** The text with the contents of strings, templates, regular expressions and comments replaced by spaces. */
  readonly code: string;
  /** What the file imports or re-exports, as written. */
  readonly imports: readonly string[];
}

const IMPORT = /^(?:import|export)\b[^;'"]*?from\s*["']([^"']+)["']|^import\s*["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']\s*\)|new URL\(\s*["'](\.[^"']+\.js)["']/gm;
const EXPORT = /^export (?:default )?(?:abstract |async |declare )*(?:function\*?|class|interface|type|const|let) (\w+)/gm;
/** A head at the start of a line: function, method, accessor, or an arrow function with a body that is given a name. */
const FUNCTION_HEAD = new RegExp([
  /^(?:@inline )?(?:export )?(?:default )?(?:async )?function\*? (\w+)/.source,
  /^ {2}(?:static |private |public |protected |override |async |get |set |\*)*([#\w]+)\s*(?:<[^<>]*>)?\([^;]*?\)(?:: [^;={}]+(?:\{[^{}]*\}[^;={}]*)?)? \{$/.source,
  /^(?:export )?const (\w+)(?:: [^=]+)? = (?:async )?\([^;]*?\)(?:: [^=]+)? => \{$/.source,
].join("|"), "gm");
const NO_METHOD = new Set(["if", "for", "while", "switch", "catch", "return", "with", "constructor"]);

/** Reads every source file below `folder` (src/), without what is generated. */
export function readSources(folder: string): SourceFile[] {
  const names = (readdirSync(folder, { recursive: true }) as string[]).map((name) => name.replaceAll("\\", "/"));
  return names.filter((name) => name.endsWith(".ts") && !name.includes("interpreter/generated/")).sort()
    .map((path) => sourceFile(path, readFileSync(join(folder, path), "utf8")));
}

/** A file from its text. */
export function sourceFile(path: string, text: string): SourceFile {
  const withoutComments = maskLiterals(text, { keepsStrings: true });
  const imports = [...withoutComments.matchAll(IMPORT)].map((match) => (match[1] ?? match[2] ?? match[3] ?? match[4])!);
  return { path, lines: text.replace(/\n$/, "").split("\n"), code: maskLiterals(text, { keepsStrings: false }), imports };
}

function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}

/** What the file exports by declaration, overloads once. */
export function exportsOf(file: SourceFile): Declaration[] {
  const found = new Map<string, Declaration>();
  // AssemblyScript's decorator stands on the same line.
  const code = file.code.replaceAll("@inline export", "export        ");
  for (const match of code.matchAll(EXPORT)) {
    const line = lineAt(code, match.index);
    if (!found.has(match[1]!)) found.set(match[1]!, { name: match[1]!, line, isDocumented: isDocumented(file.lines, line) });
  }
  return [...found.values()];
}

/** Whether a block comment ends right above line `line` (1-based), decorator comments in between left aside. */
function isDocumented(lines: readonly string[], line: number): boolean {
  let above = line - 2;
  while (above >= 0 && /^\s*\/\/ @ts-ignore/.test(lines[above]!)) above--;
  return above >= 0 && /\*\/\s*$/.test(lines[above]!);
}

/** Functions and methods with their lengths. */
export function functionsOf(file: SourceFile): FunctionSize[] {
  const sizes: FunctionSize[] = [];
  for (const match of file.code.matchAll(FUNCTION_HEAD)) {
    const name = (match[1] ?? match[2] ?? match[3])!;
    if (NO_METHOD.has(name)) continue;
    const end = bodyEnd(file.code, match.index);
    if (end === undefined) continue;
    const line = lineAt(file.code, match.index);
    sizes.push({ name, line, lineCount: lineAt(file.code, end) - line + 1 });
  }
  return sizes;
}

/** Offset of the brace that closes the body of the function whose head begins at `from`; undefined = it has no body. */
function bodyEnd(code: string, from: number): number | undefined {
  let depth = 0;
  let parentheses = 0;
  for (let at = from; at < code.length; at++) {
    const character = code[at];
    if (character === "(") parentheses++;
    else if (character === ")") parentheses--;
    else if (character === ";" && depth === 0 && parentheses === 0) return undefined;
    else if (character === "{" && parentheses === 0) depth++;
    // A type in braces before the body is closed on its own line; a body's brace is followed by the line's end.
    else if (character === "}" && parentheses === 0 && --depth === 0 && !/^[^\n]*\{\s*\n/.test(code.slice(at + 1, at + 200))) return at;
  }
  return undefined;
}
