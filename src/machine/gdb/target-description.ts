/** The target description that gdb asks for by qXfer:features:read ("Debugging with GDB", appendix G "Target Descriptions"). */
import { type Register, REGISTER_FEATURES } from "./registers.js";

/** The flags of `names`, by bit. */
function flags(id: string, names: Readonly<Record<number, string>>): string {
  const fields = Object.entries(names).map(([bit, name]) => `<field name="${name}" start="${bit}" end="${bit}"/>`);
  return `<flags id="${id}" size="4">${fields.join("")}</flags>`;
}

const VECTORS = [["v4f", "ieee_single", 4], ["v2d", "ieee_double", 2], ["v16i8", "int8", 16], ["v8i16", "int16", 8], ["v4i32", "int32", 4], ["v2i64", "int64", 2]] as const;
const VECTOR_FIELDS = [["v4_float", "v4f"], ["v2_double", "v2d"], ["v16_int8", "v16i8"], ["v8_int16", "v8i16"], ["v4_int32", "v4i32"], ["v2_int64", "v2i64"], ["uint128", "uint128"]] as const;

/** Types that a feature's registers have, besides those that gdb knows. */
const TYPES: Readonly<Record<string, string>> = {
  i386_eflags: flags("i386_eflags", {
    0: "CF", 1: "", 2: "PF", 4: "AF", 6: "ZF", 7: "SF", 8: "TF", 9: "IF", 10: "DF", 11: "OF", 14: "NT", 16: "RF", 17: "VM", 18: "AC", 19: "VIF", 20: "VIP", 21: "ID",
  }),
  i386_mxcsr: flags("i386_mxcsr", {
    0: "IE", 1: "DE", 2: "ZE", 3: "OE", 4: "UE", 5: "PE", 6: "DAZ", 7: "IM", 8: "DM", 9: "ZM", 10: "OM", 11: "UM", 12: "PM", 15: "FZ",
  }),
  vec128: [
    ...VECTORS.map(([id, type, count]) => `<vector id="${id}" type="${type}" count="${count}"/>`),
    `<union id="vec128">${VECTOR_FIELDS.map(([name, type]) => `<field name="${name}" type="${type}"/>`).join("")}</union>`,
  ].join(""),
};

function registerElement({ name, bits, type, group }: Register): string {
  return `<reg name="${name}" bitsize="${bits}" type="${type}"${group === undefined ? "" : ` group="${group}"`}/>`;
}

/** target.xml. Register numbers follow from the order. */
export const TARGET_DESCRIPTION = [
  '<?xml version="1.0"?><!DOCTYPE target SYSTEM "gdb-target.dtd"><target version="1.0"><architecture>i386:x86-64</architecture>',
  ...REGISTER_FEATURES.map(({ name, registers }) => {
    const types = [...new Set(registers.map(({ type }) => type))].map((type) => TYPES[type] ?? "");
    return `<feature name="${name}">${types.join("")}${registers.map(registerElement).join("")}</feature>`;
  }),
  "</target>",
].join("\n");
