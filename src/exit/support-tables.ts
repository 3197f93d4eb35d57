/** Text of docs/cpuid.md: CPUID, model-specific registers, ports and exits, from the tables of this room. */
import { EXIT_NAMES } from "../abi/layout.js";
import { CPU_FEATURES, type CpuFeature } from "./cpuid-features.js";
import { CPUID_TABLE, type CpuidAnswer, type CpuidLeaf } from "./cpuid-table.js";
import { KVM_PERSONALITY } from "./kvm-personality.js";
import { MSR_TABLE, type MsrEntry } from "./msr-table.js";
import type { Personality } from "./personality.js";
import { PORT_TABLE, type PortEntry } from "./port-io.js";
import { XEN_PERSONALITY } from "./xen-personality.js";

const HEAD = `# What the processor offers

Made from the tables in \`src/exit\` by \`node scripts/docs.mjs\`; a test fails when it is out of date. \`docs/instructions.md\` has the instructions.
`;

const hex = (value: number, digits = 0): string => `0x${value.toString(16).toUpperCase().padStart(digits, "0")}`;

function table(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return `${[line(columns), `|${"---|".repeat(columns.length)}`, ...rows.map(line)].join("\n")}\n`;
}

function featureTable(features: readonly CpuFeature[]): string {
  const place = ({ leaf, register, bit }: CpuFeature): string => `${hex(leaf)} ${register.toUpperCase()} bit ${bit}`;
  return table(["Feature", "Where"], features.map((feature) => [feature.name, place(feature)]));
}

function leafTable(leaves: readonly CpuidLeaf[], personality: Personality): string {
  const registers = (answer: CpuidAnswer): string[] => answer.map((value) => hex(value, 8));
  const rows = leaves.map(({ leaf, subleaf, says, answer }) => [
    subleaf === undefined ? hex(leaf) : `${hex(leaf)}, ${subleaf}`, says, ...registers(answer({ vcpuIndex: 0, vcpuCount: 1, personality })),
  ]);
  return table(["Leaf", "Says", "EAX", "EBX", "ECX", "EDX"], rows);
}

function msrTable(registers: readonly MsrEntry[]): string {
  const rows = registers.map(({ first, last, name }) => [last === undefined || last === first ? hex(first) : `${hex(first)} to ${hex(last)}`, name]);
  return table(["Register", "Name"], rows);
}

/** Ports that say the same in a row, such as a device's registers, are one line. */
function portTable(ports: readonly PortEntry[]): string {
  const rows: [string, string][] = [];
  for (const { port, says } of ports) {
    const [name, register] = says.split(", register ");
    const last = rows.at(-1);
    if (register !== undefined && last?.[1] === `${name}`) last[0] = `${last[0].split(" to ")[0]} to ${hex(port)}`;
    else rows.push([hex(port), name!]);
  }
  return table(["Port", "Says"], rows);
}

function personalityPart(title: string, personality: Personality): string[] {
  const { features, leaves, msrs, ports } = personality;
  return [
    `## Only under ${title}\n`,
    ...(features.length === 0 ? [] : [featureTable(features)]), leafTable(leaves, personality), msrTable(msrs), portTable(ports),
  ];
}

/** The whole document. */
export function cpuidDocument(): string {
  return [
    HEAD,
    "## CPUID features\n", featureTable(CPU_FEATURES),
    "## CPUID leaves\n\nAs the first vCPU sees them, under Xen's personality. Every other leaf answers zeros.\n", leafTable(CPUID_TABLE, XEN_PERSONALITY),
    "## Model-specific registers\n\nEvery other one raises #GP, and is counted (`refusedMsrs` of the statistics).\n", msrTable(MSR_TABLE),
    "## Ports\n\nEvery other port reads all ones and drops what is written, and is counted (`unclaimedPorts`).\n", portTable(PORT_TABLE),
    ...personalityPart("Xen's personality", XEN_PERSONALITY), ...personalityPart("KVM's personality", KVM_PERSONALITY),
    "## Exits from guest mode\n\nThe names under which the statistics count them: " + `${EXIT_NAMES.join(", ")}.\n`,
  ].join("\n");
}
