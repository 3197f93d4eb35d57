/** Text of docs/cpuid.md: CPUID, model-specific registers, ports and exits, from the tables of this room. */
import { EXIT_NAMES } from "../abi/layout.js";
import { CPU_FEATURES, type CpuFeature } from "./cpuid-features.js";
import { CPUID_TABLE, type CpuidAnswer } from "./cpuid-table.js";
import { MSR_TABLE } from "./msr-table.js";
import { PORT_TABLE } from "./port-io.js";

const HEAD = `# What the processor offers

Made from the tables in \`src/exit\` by \`node scripts/docs.mjs\`; a test fails when it is out of date. \`docs/instructions.md\` has the instructions.
`;

const hex = (value: number, digits = 0): string => `0x${value.toString(16).toUpperCase().padStart(digits, "0")}`;

function table(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return `${[line(columns), `|${"---|".repeat(columns.length)}`, ...rows.map(line)].join("\n")}\n`;
}

function featureTable(): string {
  const place = ({ leaf, register, bit }: CpuFeature): string => `${hex(leaf)} ${register.toUpperCase()} bit ${bit}`;
  return table(["Feature", "Where"], CPU_FEATURES.map((feature) => [feature.name, place(feature)]));
}

function leafTable(): string {
  const registers = (answer: CpuidAnswer): string[] => answer.map((value) => hex(value, 8));
  const rows = CPUID_TABLE.map(({ leaf, subleaf, says, answer }) => [
    subleaf === undefined ? hex(leaf) : `${hex(leaf)}, ${subleaf}`, says, ...registers(answer({ vcpuIndex: 0, vcpuCount: 1 })),
  ]);
  return table(["Leaf", "Says", "EAX", "EBX", "ECX", "EDX"], rows);
}

function msrTable(): string {
  const rows = MSR_TABLE.map(({ first, last, name }) => [last === undefined || last === first ? hex(first) : `${hex(first)} to ${hex(last)}`, name]);
  return table(["Register", "Name"], rows);
}

/** The whole document. */
export function cpuidDocument(): string {
  return [
    HEAD,
    "## CPUID features\n", featureTable(),
    "## CPUID leaves\n\nAs the first vCPU sees them. Every other leaf answers zeros.\n", leafTable(),
    "## Model-specific registers\n\nEvery other one raises #GP, and is counted (`refusedMsrs` of the statistics).\n", msrTable(),
    "## Ports\n\nEvery other port reads all ones and drops what is written, and is counted (`unclaimedPorts`).\n",
    table(["Port", "Says"], PORT_TABLE.map(({ port, says }) => [hex(port), says])),
    "## Exits from guest mode\n\nThe names under which the statistics count them: " + `${EXIT_NAMES.join(", ")}.\n`,
  ].join("\n");
}
