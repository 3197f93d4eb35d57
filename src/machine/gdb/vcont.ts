/** The packet vCont: what each vCPU is to do. */
import type { VcpuAction } from "./vcpu-debugger.js";

const ACTIONS: Readonly<Record<string, VcpuAction>> = { c: "continue", C: "continue", s: "step", S: "step" };
const ACTION = /^(?:([cs])|([CS])[0-9a-f]{2})(?::(.+))?$/i;

/** Index of the vCPU that a thread's number names; "all" = each of them, "any" = it does not matter which; undefined = there is no such thread. */
export function parseThread(text: string, vcpuCount: number): number | "all" | "any" | undefined {
  if (text === "-1") return "all";
  if (!/^[0-9a-f]{1,8}$/i.test(text)) return undefined;
  const id = Number.parseInt(text, 16);
  if (id === 0) return "any";
  return id <= vcpuCount ? id - 1 : undefined;
}

/**
 * What vCont's `;action[:thread]…` says for each vCPU: the leftmost action that names it counts, and whom none names stays. "Any" thread is
 * `current`. Undefined = it cannot be understood, or nobody would go on.
 */
export function parseActions(text: string, vcpuCount: number, current: number): VcpuAction[] | undefined {
  if (!text.startsWith(";")) return undefined;
  const actions = new Array<VcpuAction>(vcpuCount).fill("stay");
  const isNamed = new Array<boolean>(vcpuCount).fill(false);
  for (const part of text.slice(1).split(";")) {
    const [, plain, withSignal, threadText = "-1"] = ACTION.exec(part) ?? [];
    const action = ACTIONS[plain ?? withSignal ?? ""];
    const thread = parseThread(threadText, vcpuCount);
    if (action === undefined || thread === undefined) return undefined;
    const named = thread === "any" ? current : thread;
    for (let vcpu = 0; vcpu < vcpuCount; vcpu++) {
      if (isNamed[vcpu] === true || (named !== "all" && named !== vcpu)) continue;
      isNamed[vcpu] = true;
      actions[vcpu] = action;
    }
  }
  return actions.some((action) => action !== "stay") ? actions : undefined;
}
