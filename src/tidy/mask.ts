/** Takes comments and literals out of TypeScript text, so that simple patterns can look at the rest. */

/** What stays. */
export interface MaskOptions {
  /** true: only comments are masked. */
  readonly keepsStrings: boolean;
}

const TOKEN = /\/\/[^\n]*|\/\*[\s\S]*?\*\/|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|\/(?![*/])(?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*|`/g;
/** Before a slash that begins a regular expression stands one of these, or a keyword; before a division an operand. */
const BEFORE_PATTERN = /(?:^|[(,=:[!&|?{};+\-*%~^<>]|\breturn|\btypeof|=>)\s*$/;

const blank = (text: string): string => text.replace(/[^\n]/g, " ");

/** The text with the same length and the same lines; what is masked is spaces. */
export function maskLiterals(text: string, { keepsStrings }: MaskOptions): string {
  let result = "";
  let from = 0;
  const pattern = new RegExp(TOKEN);
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    const before = text.slice(Math.max(from, match.index - 40), match.index);
    const [token] = match;
    const isPattern = token.startsWith("/") && !token.startsWith("//") && !token.startsWith("/*");
    if (isPattern && !BEFORE_PATTERN.test(before)) {
      pattern.lastIndex = match.index + 1;
      continue;
    }
    const end = token === "`" ? templateEnd(text, match.index) : match.index + token.length;
    const whole = text.slice(match.index, end);
    const isComment = token.startsWith("//") || token.startsWith("/*");
    result += text.slice(from, match.index) + (isComment || !keepsStrings ? blank(whole) : whole);
    from = end;
    pattern.lastIndex = end;
  }
  return result + text.slice(from);
}

/** Offset behind the template literal that begins at `start`; templates within its expressions are passed over. */
function templateEnd(text: string, start: number): number {
  let depth = 0;
  for (let at = start + 1; at < text.length; at++) {
    const character = text[at];
    if (character === "\\") at++;
    else if (depth === 0 && character === "`") return at + 1;
    else if (depth === 0 && character === "$" && text[at + 1] === "{") {
      depth = 1;
      at++;
    } else if (depth > 0 && (character === '"' || character === "'")) at = stringEnd(text, at);
    else if (depth > 0 && character === "{") depth++;
    else if (depth > 0 && character === "}") depth--;
    else if (depth > 0 && character === "`") at = templateEnd(text, at) - 1;
  }
  return text.length;
}

/** Offset of the quote that closes the string that begins at `start`. */
function stringEnd(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text[at] !== text[start]) at += text[at] === "\\" ? 2 : 1;
  return at;
}
